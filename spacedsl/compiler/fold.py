"""Weights to integers: batch norm into per-channel scales, biases onto the int32 grid.

Pure functions. Weights lie in -127..127 (symmetric, so that a negative gamma is a change of sign),
a bias has exactly the scale float32(s_x * s_w) of its convolution's input and weights: ONNX Runtime
leaves a convolution with any other bias scale in float, without a word."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.parameters import EPSILON, Floats, NodeParameters

WEIGHT_MAX = 127
SCALE_FLOOR = 2.0**-40
"""Least weight scale: a channel with gamma 0 has zero weights, and still a scale above zero."""

BIAS_MAX = 2**30
"""Largest bias, in steps: half of what int32 holds. The other half is the products', of which
65,000 at most (fan-in) times 255 * 127 fit."""

BIAS_LIMIT = BIAS_MAX + BIAS_MAX // 1024
"""Rounded biases are clipped to it: scales of float32 may leave them slightly above `BIAS_MAX`."""


class IntWeights(NamedTuple):
    """Integer weights of one node: `weight` int8 (cout, cin per group, k, k), `scale` float32
    (cout,), `bias` int32 (cout,) in steps of float32(s_x * scale)."""

    weight: NDArray[np.int8]
    scale: Floats
    bias: NDArray[np.int32]


def norm_affine(parameters: NodeParameters, cout: int) -> tuple[Floats, Floats]:
    """What batch norm and bias do to a convolution's result: times `factor`, plus `shift`, both
    (cout,). Without norm the factor is 1."""
    bias = parameters.get("bias", np.zeros(cout, np.float32)).astype(np.float64)
    if "gamma" not in parameters:
        return np.ones(cout, np.float32), bias.astype(np.float32)
    gamma, beta, mean, var = (
        parameters[k].astype(np.float64) for k in ("gamma", "beta", "mean", "var")
    )
    factor, shift = affine(gamma, beta, mean, np.sqrt(var + EPSILON), bias)
    return factor.astype(np.float32), shift.astype(np.float32)


def affine(gamma: Any, beta: Any, mean: Any, deviation: Any, bias: Any) -> tuple[Any, Any]:
    """Batch norm after a bias as a factor and a shift, of NumPy's arrays and PyTorch's tensors
    alike."""
    factor = gamma / deviation
    return factor, beta + (bias - mean) * factor


def fold_floats(parameters: NodeParameters) -> tuple[Floats, Floats]:
    """Weights and bias of the convolution that does what convolution and batch norm did."""
    weight = parameters["weight"]
    factor, shift = norm_affine(parameters, weight.shape[0])
    return weight * factor[:, None, None, None], shift


def quantise_weights(
    weight: Floats, bias: Floats, input_scale: np.float32, offset: float = 0.0
) -> IntWeights:
    """Folded float weights as integers, each channel scaled to its largest weight."""
    largest = np.abs(weight).reshape(weight.shape[0], -1).max(axis=1)
    return to_integers(weight, largest / WEIGHT_MAX, bias + np.float32(offset), input_scale)


def to_integers(
    real: NDArray[np.floating],
    scale: NDArray[np.floating],
    bias: NDArray[np.floating],
    input_scale: np.float32,
) -> IntWeights:
    """Real weights in steps of `scale` and the bias in steps of float32(s_x * s_w). A channel's
    scale grows to the floor, and where the bias would not fit into int32: next to such a bias the
    weights' lost digits do not matter."""
    wanted = np.abs(bias.astype(np.float64)) / (float(input_scale) * BIAS_MAX)
    final = np.maximum(np.maximum(scale, SCALE_FLOOR), wanted).astype(np.float32)
    steps = np.rint(real / final.astype(np.float64)[:, None, None, None])
    grid = bias_scale(input_scale, final).astype(np.float64)
    rounded = np.rint(bias.astype(np.float64) / grid)
    return IntWeights(
        np.clip(steps, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8),
        final,
        np.clip(rounded, -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32),
    )


def move_bias(
    found: IntWeights, before: np.float32, after: np.float32, offset: float
) -> IntWeights:
    """The same weights for an input of scale `after` instead of `before`, `offset` more in the
    bias."""
    if before == after and not offset:
        return found
    real = found.weight * found.scale.astype(np.float64)[:, None, None, None]
    bias = found.bias * bias_scale(before, found.scale).astype(np.float64) + offset
    return to_integers(real, found.scale, bias, after)


def bias_scale(input_scale: np.float32, weight_scale: Floats) -> Floats:
    """float32(s_x * s_w), (cout,): the one scale a bias may have."""
    return np.float32(input_scale) * weight_scale
