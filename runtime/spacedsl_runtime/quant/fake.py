"""Fake quantisers: two parameters each and the pure functions over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spacedsl.compiler.fold import SCALE_FLOOR
from spacedsl.compiler.int8 import CEILING, Clip
from spacedsl.compiler.integer_model import clipped_range, from_range
from spacedsl_runtime.quant.fused import Join, fake_activation, fake_joined, fake_weight
from spacedsl_runtime.quant.lsq import (
    activation_steps,
    straight_through,
    weight_scale,
    weight_steps,
    zero_point,
)


class ActivationQuantiser(nn.Module):
    """One learned scale and offset for a tensor. One that clips has an offset of 0 that is not
    learned: it is itself the relu."""

    def __init__(self, clip: Clip = "none") -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.clip, self.fixed, self.ceiling = clip, clip != "none", CEILING.get(clip)
        self.beta = nn.Parameter(torch.tensor(0.0), requires_grad=not self.fixed)

    def start(self, low: float, high: float) -> None:
        """Take scale and offset from the range of values."""
        bounds = clipped_range(self.clip, low, high)
        with torch.no_grad():
            self.scale.fill_(from_range(*bounds).write)
            self.beta.fill_(bounds[0])

    def forward(self, x: Tensor) -> Tensor:
        """The values of x (any shape, kept; images first) in 8 bits."""
        return fake_activation(x, self.scale, None if self.fixed else self.beta, self.ceiling)

    def joined(self, join: Join, a: Tensor, b: Tensor) -> Tensor:
        """`forward` of `join(a, b)`."""
        beta = None if self.fixed else self.beta
        return fake_joined(join, a.float(), b.float(), self.scale, beta, self.ceiling)

    def steps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`'s values as steps from zero (any shape, kept) and the scalar scale of one."""
        return activation_steps(x, self.active_scale(), self.beta)

    def active_scale(self) -> Tensor:
        """The scale in use, a scalar within its bounds."""
        return straight_through(self.scale, self.scale.clamp(SCALE_FLOOR, self.ceiling))

    def deployed(self) -> tuple[float, int]:
        """Scale and zero point as the artifact carries them."""
        scale = self.active_scale().detach()
        return float(scale), int(zero_point(scale, self.beta.detach()))


class WeightQuantiser(nn.Module):
    """One learned scale for a weight, whatever part of it is active."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(weight_scale(weight).clone())

    def forward(self, weight: Tensor) -> Tensor:
        """The values of a weight, or of an active part of it, in 8 bits."""
        return fake_weight(weight, self.scale)

    def steps(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`'s values as whole numbers and the scalar scale of a step."""
        return weight_steps(weight, self.scale)
