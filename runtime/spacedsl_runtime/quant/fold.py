"""Batch norm folded into a quantised convolution, exactly: integers stay, scales change.

The same arithmetic in evaluation and in the artifact: sums of products of integers, a whole bias,
one float32 step per channel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from spacedsl.compiler.fold import BIAS_LIMIT, BIAS_MAX, SCALE_FLOOR, WEIGHT_MAX
from spacedsl.compiler.fold import affine as fold_norm
from spacedsl_runtime.quant.lsq import Scalar, round_ste


class Norm(NamedTuple):
    """Batch norm at inference, each (C,)."""

    gamma: Float[Tensor, " c"]
    beta: Float[Tensor, " c"]
    mean: Float[Tensor, " c"]
    var: Float[Tensor, " c"]
    epsilon: float = 1e-5


class Folded(NamedTuple):
    """Whole numbers as float32: `weight` -127..127 (O, I, K, K) and `bias` (O,), in steps of `step`
    = float32(input scale * scale) (O,). `scale` (O,) is the weight's."""

    weight: Tensor
    scale: Tensor
    bias: Tensor
    step: Tensor


def affine(
    norm: Norm | None, bias: Float[Tensor, " o"] | None, like: Float[Tensor, " o"]
) -> tuple[Float[Tensor, " o"], Float[Tensor, " o"]]:
    """What norm and bias do to a convolution's result, in float64: times factor (O,), plus shift
    (O,)."""
    plain = torch.zeros_like(like) if bias is None else bias.double()
    if norm is None:
        return torch.ones_like(like), plain
    gamma, beta, mean, var = (t.double() for t in norm[:4])
    factor, shift = fold_norm(gamma, beta, mean, torch.sqrt(var + norm.epsilon), plain)
    return factor, shift


def fold(
    integers: Float[Tensor, "o i *window"],
    scale: Scalar,
    norm: Norm | None,
    bias: Float[Tensor, " o"] | None,
    input_scale: Scalar,
    offset: float = 0.0,
) -> Folded:
    """Integers (O, I, K, K) or (O, I) of one scalar `scale`, what follows them and the scalar scale
    of what they read. Per-channel scales scale * |gamma| / sqrt(var + eps); the sign flips where
    gamma is negative; a scale grows to a floor above 0 (gamma 0), and where the bias (`offset`
    included) would not fit int32. Differentiable, straight through the roundings."""
    like = torch.zeros(integers.shape[0], dtype=torch.float64, device=integers.device)
    factor, shift = affine(norm, bias, like)
    shift = shift + offset
    wanted = scale.double() * factor.abs()
    least = (shift.detach().abs() / (input_scale.detach().double() * BIAS_MAX)).clamp_min(
        SCALE_FLOOR
    )
    final = torch.maximum(wanted, least).float()
    step = input_scale * final
    kept = torch.where(wanted < least, wanted / least, 1.0) * factor.sign()
    channels = (-1, *[1] * (integers.dim() - 1))
    weight = round_ste(integers.double() * kept.detach().view(channels))
    steps = round_ste(shift / step.double()).clamp(-BIAS_LIMIT, BIAS_LIMIT)
    return Folded(weight.clamp(-WEIGHT_MAX, WEIGHT_MAX).float(), final, steps.float(), step)
