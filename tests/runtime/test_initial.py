"""`train --init`: the largest network of a space begins with the weights of a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.supernet import SupernetPlan, supernet_plan
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl_runtime.checkpoint import save_checkpoint, write_checkpoint
from spacedsl_runtime.data.split import Pixels
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import layer_weights
from spacedsl_runtime.errors import CheckpointError, RunError
from spacedsl_runtime.foreign.read import Read, read_network
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.initial import Initial, read_initial
from spacedsl_runtime.train.quantise import stamp_of
from spacedsl_runtime.train.run import ABOUT
from tests.cli.test_commands import run as command
from tests.runtime.foreign_networks import Inverted, norm_conv
from tests.runtime.training import PAGE, Stopped, digits, job, mini_plan, run, same, weights
from tests.support import item_of

HALF = Normalise((0.5,), (0.5,))
WIDER = (
    ("block inverted(expand)", "block inverted(kernel, expand)"),
    ("dwconv 5x5", "dwconv kernel"),
    ("stage", "elastic stage"),
    ("{ expand 4 }", "{ kernel 3, 5  expand 2, 4 }"),
    ("width 24  depth 2", "width 16, 24  depth 1..2"),
    ("width 32  depth 2", "width 24, 32  depth 1..2"),
    ("1 x 12", "1 x 8, 12"),
)
"""How the space around the network differs from its own page."""


def network() -> nn.Module:
    """For digits, with a gate and another epsilon of batch norms."""
    torch.manual_seed(0)
    blocks = nn.Sequential(
        nn.Sequential(Inverted(16, 24, 2, 5), Inverted(24, 24, 1, 5)),
        nn.Sequential(Inverted(24, 32, 1, 5), Inverted(32, 32, 1, 5)),
    )
    head = (nn.Conv2d(32, 48, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(norm_conv(1, 16, 3, 2), nn.ReLU(), blocks, *head, nn.Linear(48, 10))


def images() -> tuple[Tensor, Tensor]:
    """The training images (N, 1, 12, 12) as networks see them, and their labels."""
    split = digits().train
    assert isinstance(split, Pixels)
    pixels = torch.from_numpy(split.pixels)[:, None] / 255
    return (F.interpolate(pixels, size=12) - 0.5) / 0.5, torch.from_numpy(split.labels)


@pytest.fixture(scope="module")
def trained() -> Read:
    """A network that was trained elsewhere, imported."""
    found = network().train()
    x, y = images()
    optimiser = torch.optim.SGD(found.parameters(), 0.1, 0.9)
    for step in range(50):
        at = torch.arange(step * 32, step * 32 + 32) % len(x)
        optimiser.zero_grad()
        torch.autograd.backward(F.cross_entropy(found(x[at]), y[at]))
        optimiser.step()
    return read_network(found, "small", (1, 12))


@pytest.fixture(scope="module")
def checkpoint(trained: Read, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("init") / "small.safetensors"
    save_checkpoint(path, trained.supernet)
    return path


def plan_of(trained: Read, *changes: tuple[str, str]) -> SupernetPlan:
    """The space around the network, changed once more."""
    text = write(trained.subnet.of)
    for before, after in (*WIDER, *changes):
        assert before in text
        text = text.replace(before, after)
    space = item_of(text, "small-space")
    assert isinstance(space, Space)
    return supernet_plan(space)


def begun(initial: Initial, plan: SupernetPlan) -> Supernet:
    found = load_supernet(plan, seed=1).eval()
    initial.write(found, lambda _: ())
    return found


def test_the_largest_network_computes_what_the_checkpoint_does(
    trained: Read, checkpoint: Path
) -> None:
    """Bit for bit; a smaller one has the leading channels and the centre of kernels."""
    plan = plan_of(trained)
    made = begun(read_initial(checkpoint, plan, HALF), plan)
    x, _ = images()
    with torch.no_grad():
        logits = trained.supernet(x, trained.subnet)
        assert torch.equal(made(x, made.largest()), logits)
        assert not torch.equal(load_supernet(plan)(x, plan.largest()), logits)
    source = trained.supernet.get_submodule("stages.1.0.dwconv0")
    small = dict(layer_weights_of(made))["stage0.0.dwconv0"]
    assert torch.equal(small, source.get_parameter("weights.0")[:32, :, 1:4, 1:4])


def layer_weights_of(net: Supernet) -> list[tuple[str, Tensor]]:
    layers = layer_weights(net, net.program(net.smallest()))
    return [(layer.name, arrays["weight"]) for layer, arrays in layers]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("width 16, 24", "width 16, 32"), "stage0.0.conv1 has output channels 32, .*conv1 .* 24"),
        (("kernel 3, 5", "kernel 3, 7"), "stage0.0.dwconv0 has kernel 7, .*dwconv0 .* 5"),
        (("expand 2, 4", "expand 2, 3"), "stage0.0.conv0 has output channels 48, .*conv0 .* 64"),
        (
            ("24, 32  depth 1..2", "24, 32  depth 1..3"),
            "stage1.2.conv0 has output channels 128, head.0.conv0 .* 48",
        ),
        (
            ("24, 32  depth 1..2", "24, 32  depth 1"),
            "head.0.conv0 has output channels 48, stage1.1.conv0 .* 128",
        ),
        (("swish", "relu"), "stage0.0.se0 has activation relu, .*se0 .* swish"),
        (
            ("shortcut identity", "shortcut projected"),
            "stage0.0.conv2 has input channels 16, stage0.1.conv0 .* 24",
        ),
        (("1 x 8, 12", "3 x 8, 12"), "stem.0.conv0 has input channels 3, stem.0.conv0 .* 1"),
        (("conv 1x1 -> 48 gelu nonorm bias  pool", "pool"), "head.0.pool0 has kind pool, .* conv"),
    ],
)
def test_another_network_is_one_error_that_names_the_layers(
    change: tuple[str, str], message: str, trained: Read, checkpoint: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_initial(checkpoint, plan_of(trained, change), HALF)


def test_a_classifier_of_other_classes_is_left_as_it_is(trained: Read, checkpoint: Path) -> None:
    plan = plan_of(trained, ("linear -> 10", "linear -> 4"))
    initial = read_initial(checkpoint, plan, HALF)
    (note,) = initial.notes
    assert "has 10 classes, the data 4: the classifier begins with random weights" in note
    made, random = begun(initial, plan), load_supernet(plan, seed=1)
    head = ("stages.3.0.linear0.weight", "stages.3.0.conv0.weights.0")
    (linear, conv), (before, _) = (map(net.get_parameter, head) for net in (made, random))
    assert torch.equal(linear, before)
    assert torch.equal(conv, trained.supernet.get_parameter(head[1]))


def test_images_of_other_values_are_said(trained: Read, tmp_path: Path) -> None:
    path, plan = tmp_path / "net.safetensors", plan_of(trained)
    tensors = {f"model.{n}": t for n, t in trained.supernet.state_dict().items()}
    write_checkpoint(path, trained.supernet, tensors, {"mean": [0.0], "std": [0.5]})
    (note,) = read_initial(path, plan, HALF).notes
    assert "images normalised with mean (0.0,), here it is (0.5,)" in note


def test_what_holds_no_fp32_network_is_refused(trained: Read, tmp_path: Path) -> None:
    """Neither folder nor run is begun."""
    plan = plan_of(trained)
    (tmp_path / "text").write_text("no checkpoint")
    save_checkpoint(tmp_path / "qat", QatSupernet(load_supernet(mini_plan(target="cpu"))))
    for name, message in (
        ("none", "cannot read"),
        ("", "is a folder"),
        ("text", "is no checkpoint, or cut short"),
        ("qat", "weights of kind 'qat', not those of an FP32 network"),
    ):
        with pytest.raises(CheckpointError, match=message):
            read_initial(tmp_path / name, plan, HALF)
    (tmp_path / "mini.space").write_text(PAGE)
    words = ("train", str(tmp_path / "mini.space"), "--data", "digits", "--init", "none")
    for more, wanted in (((), "cannot read none"), (QAT, "--init is for the FP32 training")):
        done = command(*words, "--out", str(tmp_path / "run"), *more)
        assert (done.exit_code, (tmp_path / "run").exists()) == (2, False)
        assert wanted in done.output


QAT = ("--qat", "--target", "cpu")


FEW: dict[str, Any] = {"lr": 0.02, "steps": 4, "save_every": 2, "evaluate_every": 4}


def test_a_training_begins_better_and_is_resumed(
    trained: Read, checkpoint: Path, tmp_path: Path
) -> None:
    plan = plan_of(trained)
    initial = read_initial(checkpoint, plan, HALF)

    def few(name: str, init: Initial | None = initial) -> Any:
        return job(tmp_path / name, plan=plan, init=init, **FEW)

    with_init, without = run(few("whole")), run(few("random", None))
    assert with_init[0].name == "largest"
    assert with_init[0].top1 > 0.6 > without[0].top1 + 0.2
    with pytest.raises(Stopped):
        run(few("again"), stop=3)
    other = replace(initial, stamp="0" * 64)
    for init, message in ((None, "init is .*missing"), (other, "the checkpoint of --init changed")):
        with pytest.raises(RunError, match=message):
            run(few("again", init), resume=True)
    run(few("again"), resume=True)
    assert same(weights(tmp_path / "again"), weights(tmp_path / "whole"))


def test_a_training_is_begun_with_from_the_command_line(tmp_path: Path) -> None:
    """Here with the weights of another training of the same page."""
    page = tmp_path / "mini.space"
    page.write_text(PAGE)
    save_checkpoint(tmp_path / "net.safetensors", load_supernet(mini_plan(), 1, 7, seed=5))
    words = ("train", str(page), "--data", "digits", "--out", str(tmp_path / "run"))
    more = ("--steps", "1", "--batch", "8", "--lr", "0", "--random-subnets", "0")
    done = command(*words, *more, "--init", str(tmp_path / "net.safetensors"))
    assert done.exit_code == 0, done.output
    assert "7 classes, the data 10: the classifier begins" in " ".join(done.output.split())
    settings = json.loads((tmp_path / "run" / ABOUT).read_text())["settings"]
    assert settings["init"] == stamp_of(tmp_path / "net.safetensors")
    name = "stages.0.0.conv0.weights.0"
    found = weights(tmp_path / "run")[f"model.{name}"]
    assert torch.equal(found, load_supernet(mini_plan(), 1, 7, seed=5).get_parameter(name))
