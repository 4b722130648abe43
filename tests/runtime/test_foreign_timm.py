"""Networks of timm as pages, with their weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from spacedsl.api import load
from spacedsl.flows.foreign import import_timm
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl_runtime.checkpoint import load_checkpoint
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.elastic.weights import layer_weights
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.read import read_network
from spacedsl_runtime.foreign.timm_models import Wanted, make, operations
from tests.runtime.foreign_networks import scattered
from tests.support import item_of
from tests.with_timm import needs_timm

pytestmark = needs_timm


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv3_small_050", "lcnet_050", "resnet10t", "repvgg_a0", "mobileone_s0"),
        *("ghostnet_050", "cs3darknet_s"),
    ],
)
def test_networks_compute_the_same(name: str) -> None:
    network = scattered(make(Wanted(name)))
    params = sum(p.numel() for p in network.parameters())
    found = read_network(network, name, (3, 64), *operations())
    assert found.differs <= 1e-9 * found.largest
    program = found.supernet.program(found.subnet)
    arrays = [each for _, each in layer_weights(found.supernet, program)]
    own = ("weight", "bias", "gamma", "beta")
    assert params == sum(a[key].numel() for a in arrays for key in own if key in a)
    assert item_of(write(found.subnet.of, found.subnet), name) == found.subnet


def test_weights_of_a_file_go_into_page_and_checkpoint(tmp_path: Path) -> None:
    """Of a network with other classes and channels than timm's."""
    import timm

    network = timm.create_model("mobilenetv3_small_050", num_classes=7, in_chans=1)
    scattered(network, 5)
    file, page = tmp_path / "mine.pth", tmp_path / "mine.space"
    wrapped = {f"module.{n}": t for n, t in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, file)
    done = import_timm("mobilenetv3_small_050", page, weights=file, resolution=48, item="mine")
    model = load(f"{page}#mine")
    assert isinstance(model, Subnet)
    assert (model, model.of.channels, model.resolution) == (done.model, 1, 48)
    supernet = load_supernet(model.of).eval()
    load_checkpoint(done.checkpoint, supernet)
    image = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.allclose(supernet(image, model), network(image), rtol=1e-4, atol=1e-5)


def test_random_weights_are_those_of_the_seed() -> None:
    one, same, other = (make(Wanted("lcnet_050", seed=s)).conv_stem.weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    network = make(Wanted("lcnet_050"))
    file = tmp_path / "lcnet.safetensors"
    tensors = {n: t.contiguous() for n, t in network.state_dict().items()}
    save_file({**tensors, "bn1.weight": torch.ones(9)}, file)

    def refused(message: str, name: str = "lcnet_050") -> None:
        with pytest.raises(ForeignError, match=message):
            make(Wanted(name, weights=file))

    refused(r"bn1.weight is \(9,\), the network has \(8,\)")
    refused("timm has no model 'lcnet_05'", "lcnet_05")
    save_file({n: t for n, t in tensors.items() if n != "conv_stem.weight"}, file)
    refused("conv_stem.weight is missing")
    save_file({**tensors, "more": torch.ones(1)}, file)
    refused(r"more is \(1,\), the network has no such tensor")
    file.write_bytes(file.read_bytes()[:-9])
    refused("holds no tensors, or is cut short")
