"""Branches and shuffles of imported networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.lang.write import write
from spacedsl_runtime.foreign.read import read_network
from tests.runtime.foreign_networks import norm_conv, scattered
from tests.support import item_of


class Crossing(nn.Module):
    """Half of the channels pass by; the other half grows by what three layers make, one behind the
    other, and of that a sum is taken."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.one, self.two = norm_conv(half, 4, 3), norm_conv(4, 4, 3)
        self.back = norm_conv(half + 8, half)
        self.more = norm_conv(half, half)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        first = F.relu(self.one(right))
        second = F.relu(self.two(first))
        found = F.relu(right + self.back(torch.cat([right, first, second], 1)))
        return torch.cat([left, self.more(found)], 1)


class Growing(nn.Module):
    """A layer of DenseNet, whose norm stands before its convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), nn.Conv2d(width, 4, 3, 1, 1, bias=False)

    def forward(self, before: list[Tensor]) -> Tensor:
        found: Tensor = self.conv(F.relu(self.norm(torch.cat(before, 1))))
        return found


class Branched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fc = norm_conv(3, 8, 3, 2), nn.Linear(20, 3)
        self.crossing = nn.Sequential(Crossing(8), Crossing(8))
        self.growing = nn.ModuleList(Growing(8 + 4 * i) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        found = [self.crossing(F.relu(self.stem(x)))]
        for layer in self.growing:
            found.append(layer(found))
        logits: Tensor = self.fc(torch.cat(found, 1).mean((2, 3)))
        return logits


def test_branches_are_said() -> None:
    """Paths that begin alike are written once, and what was joined before grows."""
    torch.manual_seed(2)
    found = read_network(scattered(Branched()), "branched", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    text = write(found.subnet.of, found.subnet)
    assert item_of(text, "branched") == found.subnet
    assert "stage0 { crossing  width 8  depth 2 }" in text
    assert "stage1 { growing  width cin + 4  depth 3 }" in text
    assert "concat { } { dwconv 1x1 relu ones  conv 3x3 -> 4 nonorm }" in text
    assert text.count("conv 3x3 -> 4") == 3


class Mixing(nn.Module):
    """Builds a unit of ShuffleNetV2 that shuffles in one of several ways."""

    def __init__(self, width: int, way: str) -> None:
        super().__init__()
        self.way, self.shuffle = way, nn.ChannelShuffle(2)
        self.side = norm_conv(width // 2, width // 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        one, two = x.chunk(2, dim=1)
        x = torch.cat([one, F.relu(self.side(two))], dim=1)
        n, c, h, w = x.size(0), x.size(1), x.size(2), x.size(3)
        match self.way:
            case "module":
                found: Tensor = self.shuffle(x)
                return found
            case "transposed":
                x = x.view(n, 2, c // 2, h, w)
                return torch.transpose(x, 1, 2).contiguous().view(n, -1, h, w)
            case _:
                return x.reshape(n, 2, c // 2, h, w).permute(0, 2, 1, 3, 4).flatten(1, 2)


@pytest.mark.parametrize("way", ["module", "transposed", "permuted"])
def test_shuffles_are_said(way: str) -> None:
    parts = nn.Sequential(Mixing(8, way), Mixing(8, way))
    net = nn.Sequential(norm_conv(3, 8, 3, 2), nn.ReLU(), nn.Sequential(parts))
    network = nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    found = read_network(scattered(network), "mixed", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert write(found.subnet.of).count("shuffle 2") == 1
