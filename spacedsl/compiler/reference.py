"""What the integers mean: every 8-bit op in numpy, rescaled in float64, rounded half to even.

The yardstick for runtimes: fed the same uint8 inputs, a runtime's op may differ by one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spacedsl.compiler.fold import IntWeights, bias_scale
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import IntegerModel, Quantiser
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import pair
from spacedsl.operators.window import Window

Steps = NDArray[np.uint8]
Reals = NDArray[np.float64]
Number = TypeVar("Number", np.uint8, np.float64)


def quantise(x: Reals, quantiser: Quantiser) -> Steps:
    """uint8 steps of real values."""
    steps = np.rint(x / np.float64(quantiser.write)) + quantiser.zero_point
    return np.asarray(np.clip(steps, 0, QMAX), dtype=np.uint8)


def centred(q: Steps, quantiser: Quantiser) -> Reals:
    """Steps from zero: q - zero_point, exact."""
    return q.astype(np.float64) - quantiser.zero_point


def dequantise(q: Steps, quantiser: Quantiser) -> Reals:
    """The real values that readers see."""
    return centred(q, quantiser) * quantiser.read


def run(model: IntegerModel, images: NDArray[np.float32]) -> dict[str, Steps]:
    """Every tensor of the model for `images` (N, C, H, W)."""
    made: dict[str, Steps] = {}
    for node in model.nodes:
        if node.op == "input":
            quantiser = model.header.quantisers[node.name]
            made[node.name] = quantise(images.astype(np.float64), quantiser)
        else:
            made[node.name] = run_node(model, node, [made[i] for i in node.inputs])
    return made


def outputs(model: IntegerModel, images: NDArray[np.float32]) -> dict[str, Reals]:
    """Every output by name: the logits (N, classes), or maps (N, C, H, W)."""
    made = run(model, images)
    found: dict[str, Reals] = {}
    for output, node in model.header.plan.outputs():
        real = dequantise(made[node.name], model.header.quantisers[node.name])
        found[output.name] = real.reshape(len(images), *output.shape)
    return found


def logits(model: IntegerModel, images: NDArray[np.float32]) -> Reals:
    """The logits of a network with a head, (N, classes)."""
    return outputs(model, images)[LOGITS]


def run_node(model: IntegerModel, node: Int8Node, inputs: Sequence[Steps]) -> Steps:
    """One op on uint8 inputs (N, C, H, W)."""
    known = model.header.quantisers
    readers = [known[i] for i in node.inputs]
    if node.op == "slice":
        return inputs[0][:, node.start : node.start + node.shape[0]]
    if node.op == "shuffle":
        return shuffled(inputs[0], node.groups)
    if node.op == "concat" and node.shared:
        return np.concatenate(inputs, axis=1)
    if node.op == "maxpool":
        return np.asarray(_windows(node, inputs[0], 0).max(axis=(4, 5)), dtype=np.uint8)
    if node.op == "space-to-depth":
        return _blocks(node, inputs[0])
    if node.op == "upsample":
        rows, columns = pair(node.kernel)
        return inputs[0].repeat(rows, axis=2).repeat(columns, axis=3)
    real = real_values(node, inputs, readers, model.weights.get(node.name))
    return quantise(real, known[node.name])


def real_values(
    node: Int8Node,
    inputs: Sequence[Steps],
    readers: Sequence[Quantiser],
    weights: IntWeights | None,
) -> Reals:
    """What an op makes of uint8 inputs (N, C, H, W) before its own quantiser."""
    x = [dequantise(q, r) for q, r in zip(inputs, readers, strict=True)]
    match node.op:
        case "conv" | "dwconv" | "linear":
            if weights is None:
                raise ValueError(f"{node.name} has no weights")
            total = _accumulate(node, centred(inputs[0], readers[0]), weights)
            grid = bias_scale(np.float32(readers[0].read), weights.scale).astype(np.float64)
            real = total * grid[:, None, None]
        case "avgpool":
            count = _windows(node, np.ones_like(x[0]), 0).sum(axis=(4, 5))
            real = _windows(node, x[0], 0).sum(axis=(4, 5)) / count
        case "pool":
            real = x[0].mean(axis=(2, 3), keepdims=True)
        case "add":
            real = x[0] + x[1]
        case "concat":
            real = np.concatenate(x, axis=1)
        case "mul":
            real = x[0] * x[1]
        case "shift":
            real = x[0] + node.offset
        case act if act in ACTIVATIONS:
            real = values(act, readers[0])[inputs[0]]
        case op:
            raise ValueError(f"{op} makes no real values")
    return np.asarray(real)


def shuffled(x: Steps, groups: int) -> Steps:
    """x (N, C, H, W) with the first channel of every group first, then the second of every one."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).swapaxes(1, 2).reshape(x.shape)


def values(act: str, reader: Quantiser) -> Reals:
    """What an activation makes of each of the 256 steps, (256,)."""
    steps = np.arange(QMAX + 1, dtype=np.uint8)
    return np.array([ACTIVATIONS[act].value(float(x)) for x in dequantise(steps, reader)])


def _windows(node: Int8Node, x: NDArray[Number], fill: float) -> NDArray[Number]:
    """(N, C, H', W', rows, columns) windows of a padded x (N, C, H, W)."""
    (top, left), (bottom, right) = map(pair, node.pads)
    edges = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, edges, constant_values=fill)
    reach = Window(node.kernel, node.stride, node.dilation).reach
    windows = sliding_window_view(padded, pair(reach), axis=(2, 3))
    (down, across), (rows, columns) = pair(node.stride), pair(node.dilation)
    _, height, width = node.shape
    windows = windows[:, :, ::down, ::across, ::rows, ::columns]
    return windows[:, :, :height, :width]


def _blocks(node: Int8Node, x: Steps) -> Steps:
    """(N, C, H, W) -> (N, b b C, H / b, W / b): row in the block, column, channel."""
    channels, height, width = node.shape
    block, _ = pair(node.kernel)
    parts = x.reshape(len(x), -1, height, block, width, block)
    return parts.transpose(0, 3, 5, 1, 2, 4).reshape(len(x), channels, height, width)


def _accumulate(node: Int8Node, x: Reals, weights: IntWeights) -> Reals:
    """Sum of products plus bias, whole numbers held exactly in float64."""
    windows, kernel = _windows(node, x, 0), weights.weight.astype(np.float64)
    if node.op == "dwconv":
        total = np.einsum("nchwij,cij->nchw", windows, kernel[:, 0], optimize=True)
    else:
        n, c, h, w, *window = windows.shape
        windows = windows.reshape(n, node.groups, c // node.groups, h, w, *window)
        kernel = kernel.reshape(node.groups, -1, *kernel.shape[1:])
        total = np.einsum("ngchwij,gocij->ngohw", windows, kernel, optimize=True)
        total = total.reshape(n, -1, h, w)
    return np.asarray(total) + weights.bias[:, None, None]
