"""Batch norm folded into a quantised convolution, exactly: integers stay, scales change."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spacedsl_runtime.quant.lsq import SCALE_FLOOR


class Norm(NamedTuple):
    """Batch norm at inference, each (C,)."""

    gamma: Tensor
    beta: Tensor
    mean: Tensor
    var: Tensor
    epsilon: float = 1e-5


class Folded(NamedTuple):
    """`weight` integers -127..127 (O, I, K, K), `scale` (O,), `bias` in real units (O,)."""

    weight: Tensor
    scale: Tensor
    bias: Tensor


def affine(norm: Norm | None, bias: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """What norm and bias do to a convolution's result: times factor (O,), plus shift (O,)."""
    plain = torch.zeros_like(like) if bias is None else bias
    if norm is None:
        return torch.ones_like(like), plain
    factor = norm.gamma / torch.sqrt(norm.var + norm.epsilon)
    return factor, norm.beta + (plain - norm.mean) * factor


def _double(norm: Norm) -> Norm:
    gamma, beta, mean, var, epsilon = norm
    return Norm(gamma.double(), beta.double(), mean.double(), var.double(), epsilon)


def fold(integers: Tensor, scale: Tensor, norm: Norm | None, bias: Tensor | None = None) -> Folded:
    """Per-channel scales scale * |gamma| / sqrt(var + eps); the sign flips where gamma is
    negative; where gamma is 0 the integers are 0 and the scale is a floor above 0."""
    like = torch.zeros(integers.shape[0], dtype=torch.float64, device=integers.device)
    wide = None if norm is None else _double(norm)
    factor, shift = affine(wide, None if bias is None else bias.double(), like)
    wanted = scale.double() * factor.abs()
    floored = wanted.clamp_min(SCALE_FLOOR)
    kept = torch.where(wanted < SCALE_FLOOR, wanted / floored, 1.0) * factor.sign()
    steps = (integers.double() * kept[:, None, None, None]).round()
    return Folded(steps.to(torch.int8), floored.float(), shift.float())
