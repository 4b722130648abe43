"""Networks of others as pages: the same outputs, and the page that says them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.lang.write import write
from spacedsl.targets.deployed import open_deployed
from spacedsl_runtime.checkpoint import save_checkpoint
from spacedsl_runtime.foreign.read import Read, read_network
from tests.cli.test_commands import run, run_json
from tests.runtime.foreign_networks import Around, mixed, norm_conv, scattered
from tests.support import item_of


@pytest.fixture(scope="module")
def found() -> Read:
    return read_network(mixed(), "mixed", (3, 63))


def test_logits_are_the_same(found: Read) -> None:
    """Also in single precision, and at sizes that strides do not divide."""
    network, image = mixed(), torch.randn(2, 3, 63, 63)
    with torch.no_grad():
        theirs, ours = network(image), found.supernet(image, found.subnet)
    assert found.differs <= 1e-6 * found.largest
    assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-5 * found.largest)


def test_the_page_says_blocks_and_the_one_network(found: Read, tmp_path: Path) -> None:
    text = write(found.subnet.of, found.subnet)
    again = item_of(text, "mixed", tmp_path)
    assert again == found.subnet
    assert text.count("block ") == 2
    assert "  shortcut projected relu\n" in text
    assert "  mid = round8(cin * expand)\n" in text
    assert "  se mid / 4 swish sigmoid\n" in text
    assert "stage0 { inverted { kernel 3  expand 4 }  width 24  stride 2 }" in text
    assert "stage0-2 { inverted { kernel 5  expand 2 }  width 24  depth 2 }" in text
    assert "stage1 { projected  width 32  depth 3 }" in text
    assert "stage2 { projected  width 40  depth 2  stride 2 }" in text
    assert "stem { conv 3x3 leaky s2  maxpool 3x3 strided  width 16  stride 2 }" in text
    assert "head { conv 1x1 -> 48 gelu nonorm bias  pool  dropout 0.2  linear -> 10 }" in text


class Grouped(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, groups: int) -> None:
        super().__init__()
        self.one = norm_conv(cin, cout)
        self.two = norm_conv(cout, cout, 3, stride, groups=groups)
        same = cin == cout and stride == 1
        self.skip = nn.Identity() if same else norm_conv(cin, cout, 1, stride, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(F.relu(self.one(x))) + self.skip(x)
        return found


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ((2, 4, 4), "conv 3x3 groups cout / 4 strided"),  # as many channels in each
        ((4, 4, 4), "conv 3x3 groups 4 strided"),
        ((1, 4, 4), "conv 3x3 groups cardinality strided"),
        ((8, 16, 16), "dwconv 3x3 strided"),
    ],
)
def test_groups_are_said(groups: tuple[int, ...], said: str) -> None:
    """By the width, as a number, or else by a parameter; the shortcut's are its own."""
    sizes = ((16, 8, 1), (8, 16, 2), (16, 16, 1))
    blocks = (Grouped(*size, group) for size, group in zip(sizes, groups, strict=True))
    torch.manual_seed(5)
    stem, head = norm_conv(3, 16, 3), (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    network = scattered(nn.Sequential(stem, nn.Sequential(*blocks), *head))
    found = read_network(network, "grouped", (3, 16))
    assert found.differs <= 1e-6 * found.largest
    text = write(found.subnet.of, found.subnet)
    assert f"  {said}\n" in text
    assert "  shortcut { conv 1x1 groups 2 strided elide }\n" in text
    assert text.count("block ") == 1
    assert item_of(text, "grouped") == found.subnet


class Gate(nn.Module):
    """Squeeze and excitation of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x.mean((2, 3), keepdim=True)))


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (nn.Conv2d(8, 8, 3, 1, 2, 2), "conv 3x3 -> 8 dilation 2 nonorm bias"),
        (nn.Conv2d(8, 8, 4, 4), "conv 4x4 -> 8 strided nonorm bias"),
        (nn.Conv2d(8, 8, 3), "conv 3x3 -> 8 nonorm bias valid"),
        (nn.Conv2d(8, 8, (1, 3), 1, (0, 1)), "conv 1x3 -> 8 nonorm bias"),
        (nn.Conv2d(8, 8, (5, 2), (2, 1), 0, groups=8), "dwconv 5x2 strided nonorm bias valid"),
        (nn.BatchNorm2d(8), "dwconv 1x1 ones"),
        (nn.MaxPool2d(3, 2), "maxpool 3x3 strided valid"),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), "  dwconv 1x1 relu ones\n"),
        (nn.Sequential(nn.ReLU(), Gate()), "se round8(cin / 4) relu sigmoid"),
    ],
)
def test_windows_are_said(inner: nn.Module, said: str) -> None:
    found = read_network(scattered(Around(lambda x: x, inner)), "windows", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert said in write(found.subnet.of, found.subnet)


class Plain(nn.Module):
    """A network that has no modules for its sum, pool and dropout, and calls none for logits."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = norm_conv(3, 8, 3, 2), norm_conv(8, 8, 3), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        x = x + self.two(x)
        x = F.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1), 0.2, self.training)
        return F.linear(x, self.fc.weight, bias=self.fc.bias)


class Shrinking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


def test_every_block_that_shrinks_the_map_has_a_stage() -> None:
    """Also without a stride. A stage's blocks after its first keep the size."""
    blocks = nn.Sequential(Shrinking(), Shrinking())
    found = read_network(scattered(Around(lambda x: x, blocks)), "net", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert write(found.subnet.of).count("{ shrinking  width 8 }") == 2


def test_what_the_network_does_without_modules_is_said() -> None:
    found = read_network(scattered(Plain()), "plain", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert "pool  dropout 0.2  linear -> 2" in write(found.subnet.of, found.subnet)


def test_a_checkpoint_is_exported_and_calibrated(tmp_path: Path) -> None:
    """In FP32 with the network's logits; in 8 bits compared on images, near them."""
    network = mixed(1)
    read, weights = read_network(network, "mixed", (1, 32)), tmp_path / "net.safetensors"
    page, files = tmp_path / "net.space", {"fp32": tmp_path / "f.onnx", "int8": tmp_path / "q.onnx"}
    page.write_text(write(read.subnet.of, read.subnet))
    save_checkpoint(weights, read.supernet)
    asked = ("export", str(page), "--checkpoint", str(weights), "--out")
    assert run(*asked, str(files["fp32"]), "--fp32").exit_code == 0
    found = run_json(*asked, str(files["int8"]), "--calibrate", "digits")["agreement"]
    assert found["images"] == 200
    assert 0 <= found["int8_top1"] <= 1
    image = torch.randn(4, 1, 32, 32).clamp(-1, 1)
    with torch.no_grad():
        logits = network(image).numpy()
    fp32, int8 = (open_deployed(file).run(image.numpy()) for file in files.values())
    assert np.allclose(fp32, logits, rtol=1e-3, atol=1e-4 * read.largest)
    assert np.corrcoef(int8.ravel(), logits.ravel())[0, 1] > 0.95
    for words, message in (
        ((), "say --calibrate DATA for 8 bits"),
        (("--fp32", "--calibrate", "digits"), "--fp32 needs no --calibrate"),
    ):
        done = run(*asked, str(tmp_path / "no.onnx"), *words)
        assert done.exit_code == 2
        assert message in done.output
