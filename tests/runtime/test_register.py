"""Model pages as networks of timm: made by name, used as timm's own, and back into a checkpoint."""

from __future__ import annotations

import importlib
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import spacedsl
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from tests.cli.test_commands import run
from tests.runtime.foreign_networks import scattered
from tests.support import ROOT, library_model
from tests.with_timm import needs_timm

pytestmark = needs_timm

TINY = "spacedsl_tiny_a0"
EYES = """language 1
use "std/blocks.space"
use "std/branches.space"

space eyes {
  input 1 x 48
  taps stride 4, 8
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { mbv2 { kernel 3  expand 2 }  width 16  depth 1  stride 2 }
  stage2 { shuffle-down { kernel 3 }  width 32  depth 1  stride 2 }
  stage3 { shuffle-unit { kernel 3 }  width 32  depth 1..2 }
}
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights for tiny-a, of pictures of two channels and four classes."""
    supernet = load_supernet("tiny-a", channels=2, classes=4)
    scattered(supernet)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, supernet)
    return path


def eyes() -> spacedsl.Space:
    found = spacedsl.parse(EYES)
    assert isinstance(found, spacedsl.Space)
    return found


def made(name: str, **options: Any) -> Any:
    """A network that timm makes."""
    import timm

    return timm.create_model(name, **options)


def filled(path: Path, channels: int = 2, classes: int = 4) -> Supernet:
    found = load_supernet("tiny-a", channels, classes)
    load_checkpoint(path, found)
    return found.eval()


def test_pretrained_weights_are_those_of_the_checkpoint(checkpoint: Path) -> None:
    import timm

    assert spacedsl.register_timm("tiny-a0", checkpoint=checkpoint) == TINY
    assert TINY in timm.list_models("spacedsl_*", pretrained=True)
    network = made(TINY, pretrained=True).eval()
    image = torch.randn(2, 2, 32, 32)
    with torch.no_grad():
        expected = filled(checkpoint)(image, library_model("models/tiny-a0"))
        assert torch.allclose(network(image), expected, atol=1e-5)
        head = network.forward_head(network.forward_features(image))
        assert torch.equal(head, network(image))
        other = made(TINY, pretrained=True, num_classes=3, in_chans=3).eval()
        assert other(torch.randn(1, 3, 48, 40)).shape == (1, 3)
    kept, adapted = network.state_dict(), other.state_dict()
    differ = {n for n in kept if not torch.equal(kept[n], adapted[n])}
    assert differ == {"stages.0.stem_0_conv0.conv.weight", "classifier.weight", "classifier.bias"}


def test_a_network_is_used_as_timms_own_are(checkpoint: Path) -> None:
    """Classifier, features, maps, groups of parameters and recomputation."""
    import timm

    optim: Any = importlib.import_module("timm.optim")

    spacedsl.register_timm("tiny-a0")
    assert not timm.is_model_pretrained(TINY)
    network = made(TINY, num_classes=5, drop_rate=0.0)
    image = torch.randn(2, 3, 32, 32)
    assert network.get_classifier().out_features == network.num_classes == 5
    map = network.forward_features(image)
    assert map.shape[1] == network.num_features == 64
    assert network.forward_head(map, pre_logits=True).shape == (2, network.head_hidden_size)
    network.set_grad_checkpointing()
    network(image).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    groups = optim.param_groups_layer_decay(network, layer_decay=0.5)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    assert len({group["lr_scale"] for group in groups}) == len(network.stages) + 1
    network.reset_classifier(0)
    assert network(image).shape == (2, network.head_hidden_size)
    network.reset_classifier(0, "")
    assert network(image).shape == map.shape
    with pytest.raises(ValueError, match="catavgmax"):
        network.reset_classifier(5, "catavgmax")
    maps = made(TINY, features_only=True)
    found = maps(image)
    assert maps.feature_info.channels() == [m.shape[1] for m in found]
    assert maps.feature_info.reduction() == [32 // m.shape[2] for m in found] == [2, 4, 8]


@pytest.mark.parametrize(
    "name", ["models/seqnet-vnni-a0", "baselines/mobilenetv3-large-w1", "models/regnetx-400mf"]
)
def test_heads_of_other_pages_are_cut_at_their_pool(name: str) -> None:
    """A convolution before the pool, one behind it, and none."""
    model = library_model(name)
    torch.manual_seed(0)
    network = made(spacedsl.register_timm(model)).eval()
    image = torch.randn(1, 3, 64, 64)
    plain = nn.Sequential(network.stages, network.conv_head)
    with torch.no_grad():
        assert plain(image).shape[1] == network.num_features
        assert network(image).shape == (1, 1000)
    assert [info["reduction"] for info in network.feature_info] == [2, 4, 8, 16, 32]
    own = sum(p.numel() for p in network.parameters())
    assert own == spacedsl.load_model(name.partition("/")[2]).weights


def test_what_timm_trained_becomes_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    spacedsl.register_timm("tiny-a0", checkpoint=checkpoint)
    network = made(TINY, num_classes=6)
    scattered(network, 9)
    out = tmp_path / "back.safetensors"
    network.save_checkpoint(out)
    image = torch.randn(2, 2, 32, 32)
    with torch.no_grad():
        found = filled(out, 2, 6)(image, library_model("models/tiny-a0"))
        assert torch.allclose(found, network(image), atol=1e-5)
    page = tmp_path / "a0.space"
    page.write_text(write(library_model("models/tiny-a0")), encoding="utf-8")
    file = tmp_path / "a0.onnx"
    done = run("export", str(page), "--checkpoint", str(out), "--fp32", "--out", str(file))
    assert done.exit_code == 0, done.output
    assert spacedsl.open_file(file).run(image.numpy()).shape == (2, 6)
    network.reset_classifier(0)
    with pytest.raises(ValueError, match="has lost its classifier"):
        network.save_checkpoint(out)


def test_a_backbone_gets_a_classifier_where_timm_asks_for_one(tmp_path: Path) -> None:
    """A page with taps and with paths that are put together."""
    name = spacedsl.register_timm(eyes().sample(1)[0], name="eyes")
    image = torch.randn(2, 1, 48, 48)
    assert made(name)(image).shape == (2, 32)
    network = made(name, num_classes=3)
    assert network(image).shape == (2, 3)
    scattered(network)
    network.save_checkpoint(tmp_path / "eyes.safetensors")
    supernet = load_supernet(eyes())
    load_checkpoint(tmp_path / "eyes.safetensors", supernet)
    with torch.no_grad():
        last = supernet.eval()(image, eyes().sample(1)[0])["stride8"]
        assert torch.allclose(last, network.forward_features(image), atol=1e-5)
    assert [m.shape[1] for m in made(name, features_only=True)(image)] == [8, 16, 32]


def test_names_are_given_anew_in_silence_and_never_taken_from_timm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            spacedsl.register_timm("tiny-a0")
    for name, message in (("resnet18", "already"), ("a b", "cannot be a name")):
        with pytest.raises(spacedsl.SpaceError, match=message):
            spacedsl.register_timm("tiny-a0", name=name)
    with pytest.raises(spacedsl.SpaceError, match="not a model"):
        spacedsl.register_timm("vnni")


def test_a_checkpoint_of_another_space_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "eyes.safetensors"
    save_checkpoint(path, load_supernet(eyes()))
    with pytest.raises(spacedsl.SpaceError, match="is of eyes"):
        spacedsl.register_timm("tiny-a0", checkpoint=path)


def test_what_the_documentation_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "bridges.md").read_text(encoding="utf-8")
    after = text.partition("### A page as a network of timm")[2]
    shown = re.findall(r"```python\n(.*?)```", after, re.DOTALL)[:2]
    model = library_model("models/tiny-a0")
    assert isinstance(model, Subnet)
    named = model.model_copy(update={"name": "net"})
    (tmp_path / "net.space").write_text(write(named), encoding="utf-8")
    save_checkpoint(tmp_path / "net.safetensors", load_supernet("tiny-a"))
    monkeypatch.chdir(tmp_path)
    there: dict[str, object] = {}
    for code in shown:
        exec(code, there)
    assert there["name"] == "spacedsl_net"
    assert (tmp_path / "trained.safetensors").is_file()


def test_a_training_by_timm_keeps_what_is_trained_as_sums(tmp_path: Path) -> None:
    text = EYES.replace("strided  width 8", "strided reparam 2  width 8").replace("depth 1..2", "")
    text = text.replace("  taps stride 4, 8\n", "")
    model = spacedsl.parse(text.rstrip().removesuffix("}") + "  head { pool  linear -> 10 }\n}\n")
    assert isinstance(model, spacedsl.Space)
    subnet = model.sample(1)[0]
    network = made(spacedsl.register_timm(subnet), num_classes=4, in_chans=2)
    scattered(network)
    network.save_checkpoint(tmp_path / "trained.safetensors")
    supernet = load_supernet(subnet.of, 2, 4)
    load_checkpoint(tmp_path / "trained.safetensors", supernet)
    image = torch.randn(2, 2, 48, 48)
    with torch.no_grad():
        expected = network.eval()(image)
        found = supernet.eval()(image, subnet)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
