"""The NSR loss of block-wise distillation (DONNA, Moons et al., ICCV 2021, Eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Definition = Literal["teacher", "authors"]


def nsr_loss(
    teacher: Float[Tensor, "n c h w"],
    student: Float[Tensor, "n c h w"],
    definition: Definition = "teacher",
    floor: float = 1e-6,
) -> Float[Tensor, ""]:
    """Noise to signal ratio of feature maps (N, C, H, W), a scalar: the mean over batch and
    channels of mean_hw((teacher - student)^2) / var_hw(teacher).

    A map that is constant (a dead channel) has no variance: the denominator is at least `floor`
    times the mean variance of all of them, so that such maps neither divide by zero nor decide the
    loss. Where no map has any (maps of 1 x 1), it is the variance of all values, and 1 where
    those are equal too. `authors`: SpaceEvo's code divides by the student's unbiased variance (and
    the published tables hold that)."""
    teacher, student = teacher.float(), student.float()
    noise = (teacher - student).square().mean(dim=(2, 3))  # (N, C)
    unbiased = definition == "authors" and teacher.shape[2] * teacher.shape[3] > 1
    source = student if definition == "authors" else teacher
    signal = source.var(dim=(2, 3), correction=int(unbiased))  # (N, C)
    return (noise / signal.clamp_min(_least(source.detach(), signal.detach(), floor))).mean()


ROUNDING = 1e-10
"""Of a variance, as a share of the values' mean square: what rounding leaves of none."""


def _least(
    source: Float[Tensor, "n c h w"], signal: Float[Tensor, "n c"], floor: float
) -> Float[Tensor, ""]:
    """The least denominator for maps `source` with variances `signal`."""
    usual, spread = signal.mean(), source.var(correction=0)
    none = ROUNDING * source.square().mean()
    instead = torch.where(spread > none, spread, torch.ones_like(spread))
    tiny = torch.finfo(signal.dtype).tiny
    return torch.where(usual > none, floor * usual + tiny, instead)
