"""Networks of PyTorch that tests import."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def scattered(network: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as after a training: each channel has its own statistics."""
    generator = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.1, generator=generator)
            norm.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.1, generator=generator)
    return network.eval()


def norm_conv(cin: int, cout: int, kernel: int = 1, stride: int = 1, **more: int) -> nn.Sequential:
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False, **more)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.BatchNorm2d(cout, eps=1e-3))


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, width // 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(width // 4, eps=1e-7)
        self.expand = nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.silu(self.norm(self.reduce(x.mean((2, 3), keepdim=True))))
        gate: Tensor = torch.sigmoid(self.expand(squeezed))
        return x * gate


class Inverted(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, kernel: int = 3, expand: int = 4) -> None:
        super().__init__()
        mid = cin * expand
        self.up = norm_conv(cin, mid)
        self.deep = norm_conv(mid, mid, kernel, stride, groups=mid)
        self.gate = Gate(mid)
        self.down = norm_conv(mid, cout)
        self.keeps = cin == cout and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(self.gate(F.relu6(self.deep(F.relu6(self.up(x))))))
        found: Tensor = x + y if self.keeps else y
        return found


class Projected(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = norm_conv(cin, cout, 3, stride), norm_conv(cout, cout, 3)
        same = cin == cout and stride == 1
        self.skip = nn.Identity() if same else norm_conv(cin, cout, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(F.relu(self.one(x)))
        y += self.skip(x)
        return F.relu(y)


def mixed(channels: int = 3) -> nn.Module:
    """Every form of block that pages know of."""
    torch.manual_seed(3)
    blocks = nn.Sequential(
        nn.Sequential(Inverted(16, 24, 2), Inverted(24, 24, 1, 5, 2), Inverted(24, 24, 1, 5, 2)),
        nn.Sequential(Projected(24, 32, 1), Projected(32, 32, 1), Projected(32, 32, 1)),
        nn.Sequential(Projected(32, 40, 2), Projected(40, 40, 1)),
    )
    stem = (norm_conv(channels, 16, 3, 2), nn.LeakyReLU(0.01), nn.MaxPool2d(3, 2, 1))
    head = (nn.Conv2d(40, 48, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2))
    return scattered(nn.Sequential(*stem, blocks, *head, nn.Linear(48, 10, bias=False)))


class Around(nn.Module):
    """A step between two convolutions."""

    def __init__(self, step: Callable[[Tensor], Tensor], inner: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.step, self.inner = norm_conv(3, 8, 3), step, inner
        self.head, self.fc = norm_conv(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.step(x) if self.inner is None else self.step(self.inner(x))
        logits: Tensor = self.fc(self.head(x).mean((2, 3)))
        return logits
