"""LSQ+ (Bhalgat et al., CVPRW 2020; LSQ: Esser et al., ICLR 2020), as pure functions.

Activations: unsigned 8 bit, q = clamp(round(x / s) + zp, 0, 255) with an integer zero point
zp = clamp(round(-beta / s), 0, 255) already in training, so that the trained graph is the deployed
one. Weights: signed 8 bit, symmetric, -127..127 (a batch norm's sign can then be folded in)."""

from __future__ import annotations

from math import prod, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from spacedsl.compiler.fold import SCALE_FLOOR, WEIGHT_MAX
from spacedsl.compiler.int8 import QMAX, Fixed

Scalar = Float[Tensor, ""]


def straight_through(
    source: Float[Tensor, "*size"], value: Float[Tensor, "*size"]
) -> Float[Tensor, "*size"]:
    """`value` exactly, with the gradient of `source`."""
    if not torch.is_grad_enabled():
        return value
    return value.detach() + (source - source.detach())


def round_ste(x: Float[Tensor, "*size"]) -> Float[Tensor, "*size"]:
    """Rounded half to even (as ONNX Runtime does), gradient 1. Any shape."""
    return straight_through(x, x.round())


def at_least_floor(scale: Scalar) -> Scalar:
    """A scale no less than the floor, straight through: one that fell to it can come back."""
    return straight_through(scale, scale.clamp_min(SCALE_FLOOR))


def scale_gradient(x: Float[Tensor, "*size"], factor: float) -> Float[Tensor, "*size"]:
    """`x` exactly, its gradient times `factor`."""
    return x.detach() + (x - x.detach()) * factor


def activation_gradient(x: Float[Tensor, n * size]) -> float:
    """What LSQ (Sec. 2.2) multiplies gradients of scale and offset by: 1 / sqrt(n * 255) for the n
    values of one image, so that neither the batch nor the number of processes matters."""
    return 1.0 / sqrt(max(1, prod(x.shape[1:])) * QMAX)


def weight_gradient(weight: Float[Tensor, "*size"]) -> float:
    """The same for the n values of a weight: 1 / sqrt(n * 127)."""
    return 1.0 / sqrt(weight.numel() * WEIGHT_MAX)


def zero_point(scale: Scalar, beta: Scalar) -> Scalar:
    """clamp(round(-beta / scale), 0, 255) as a float scalar, straight through both."""
    wanted = -beta / scale
    return straight_through(wanted, wanted.round().clamp(0, QMAX))


def quantise_activation(
    x: Float[Tensor, "*size"], scale: Scalar, zero: Scalar
) -> Float[Tensor, "*size"]:
    """Steps 0..255 as floats, same shape as x; scalars `scale` > 0 and integer `zero`."""
    return (round_ste(x / scale) + zero).clamp(0, QMAX)


def activation_steps(
    x: Float[Tensor, n * size], scale: Scalar, beta: Scalar
) -> tuple[Float[Tensor, "*size"], Scalar]:
    """x in 8 bits: steps from zero, whole numbers -255..255 of the same shape, and the scalar scale
    of a step. Their product has the gradients of LSQ+ (Eq. 5-6): inside the range dy/dx is 1 and
    dy/ds is round(x / s) - x / s; outside dy/dx is 0 and dy/dbeta is 1. The gradients of `scale`
    and `beta` are scaled by `activation_gradient`."""
    factor = activation_gradient(x)
    s = scale_gradient(at_least_floor(scale), factor)
    zero = zero_point(s, scale_gradient(beta, factor))
    return quantise_activation(x, s, zero) - zero, s


def fixed_steps(x: Float[Tensor, "*size"], fixed: Fixed) -> tuple[Float[Tensor, "*size"], Scalar]:
    """x through a quantiser that no data decides: steps from zero, whole numbers of the same shape,
    and the scalar scale that readers give a step."""
    steps = round_ste(x / x.new_full((), fixed.write)) + fixed.zero_point
    return steps.clamp(0, QMAX) - fixed.zero_point, x.new_full((), fixed.read)


def quantise_weight(weight: Float[Tensor, "*size"], scale: Scalar) -> Float[Tensor, "*size"]:
    """Integers -127..127 as floats, same shape as the weight; a scalar `scale` > 0."""
    return round_ste(weight / scale).clamp(-WEIGHT_MAX, WEIGHT_MAX)


def weight_steps(
    weight: Float[Tensor, "*size"], scale: Scalar
) -> tuple[Float[Tensor, "*size"], Scalar]:
    """A weight in 8 bits: whole numbers -127..127 of the same shape, and the scalar scale of a
    step, whose gradient is scaled by `weight_gradient`."""
    factor = weight_gradient(weight)
    s = scale_gradient(at_least_floor(scale), factor)
    return quantise_weight(weight, s), s


def weight_scale(weight: Float[Tensor, "*size"]) -> Scalar:
    """Initial scale of a weight, a scalar: nothing is clipped, the largest becomes +-127."""
    return (weight.detach().abs().amax() / WEIGHT_MAX).clamp_min(SCALE_FLOOR)
