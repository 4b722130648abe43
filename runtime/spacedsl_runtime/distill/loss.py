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

    A map that is constant (a dead channel, or 1 x 1) has no variance: the denominator is at least
    `floor` times the mean variance of its channels, so that such maps neither divide by zero nor
    decide the loss. `authors`: SpaceEvo's code divides by the student's unbiased variance (and the
    published tables hold that)."""
    teacher, student = teacher.float(), student.float()
    noise = (teacher - student).square().mean(dim=(2, 3))  # (N, C)
    unbiased = definition == "authors" and teacher.shape[2] * teacher.shape[3] > 1
    source = student if definition == "authors" else teacher
    signal = source.var(dim=(2, 3), correction=int(unbiased))  # (N, C)
    least = floor * signal.detach().mean() + torch.finfo(signal.dtype).tiny
    return (noise / signal.clamp_min(least)).mean()
