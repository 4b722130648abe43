"""Operators with a window in TFLite's words, whatever the type of their tensors.

TFLite knows two paddings: VALID, and SAME, which at stride 2 pads less before than after. Where
ours is neither, the tensor is padded first (XNNPACK merges that into a convolution)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.graph import Node
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.tflite_build import Builder, Scale
from spacedsl.operators.size import Size, pair
from spacedsl.operators.window import Window, strided

SAME, VALID = 0, 1
"""The schema's `Padding`."""

GROUP = 64
"""Most channels of a group, where a depthwise convolution is written as a grouped one."""


def convolution(build: Builder, node: Node | Int8Node, source: str, kernel: str, bias: str) -> None:
    """The convolution that makes `node` of `source`; whether it is depthwise, `node.op` says."""
    tensor, padding = padded(build, node, source)
    (down, across), (rows, columns) = pair(node.stride), pair(node.dilation)
    options: dict[str, Any] = {"padding": padding, "strideW": across, "strideH": down}
    if node.dilation != 1:
        options |= {"dilationWFactor": columns, "dilationHFactor": rows}
    kind, table = "CONV_2D", "Conv2DOptions"
    if node.op == "dwconv" and build.tensors[kernel].shape[0] == 1:
        kind, table = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        options["depthMultiplier"] = 1
    build.op(kind, [tensor, kernel, bias], node.name, table, **options)


def max_pool(
    build: Builder, node: Node | Int8Node, source: str, least: NDArray[Any] | None
) -> None:
    """A max-pool. `least`: what it is padded with, (1,); None where that is zero, which is the only
    value that XNNPACK pads with."""
    tensor, padding = padded(build, node, source, least)
    _pool(build, "MAX_POOL_2D", node, tensor, node.name, padding, node.stride)


def average_pool(build: Builder, node: Node | Int8Node, source: str, output: str) -> None:
    """An average pool of float tensors. Padding is not counted, so it cannot be made first: where
    SAME does not fit, the windows are taken at every pixel, and every `stride`-th of them kept."""
    padding, _ = _padding(build, node, source)
    if padding is not None:
        _pool(build, "AVERAGE_POOL_2D", node, source, output, padding, node.stride)
        return
    sides = build.tensors[source].shape[1:3]
    every = build.like(f"{output}.every", source, *sides)
    _pool(build, "AVERAGE_POOL_2D", node, source, every, SAME, 1)
    corners = ((0, 0, 0, 0), (1, *sides, node.shape[0]), (1, *pair(node.stride), 1))
    parts = [
        build.constant(f"{output}.{name}", np.array(corner, np.int32))
        for name, corner in zip(("begin", "end", "stride"), corners, strict=True)
    ]
    # the masks say "all of it" for batch and channels
    build.op(
        "STRIDED_SLICE", [every, *parts], output, "StridedSliceOptions", beginMask=9, endMask=9
    )


def _pool(
    build: Builder,
    kind: str,
    node: Node | Int8Node,
    source: str,
    output: str,
    padding: int,
    stride: Size,
) -> None:
    (down, across), (rows, columns) = pair(stride), pair(node.kernel)
    build.op(
        kind,
        [source],
        output,
        "Pool2DOptions",
        padding=padding,
        strideW=across,
        strideH=down,
        filterWidth=columns,
        filterHeight=rows,
    )


def padded(
    build: Builder, node: Node | Int8Node, source: str, value: NDArray[Any] | None = None
) -> tuple[str, int]:
    """What `node` reads, and with which padding: `source` as it is where SAME or VALID pads as
    `node` does, else padded with `value` (1,) or zeros."""
    padding, needed = _padding(build, node, source)
    if padding is not None:
        return source, padding
    name = f"{node.name}.padded"
    edges = np.array([[0, 0], *needed, [0, 0]], np.int32)
    inputs = [source, build.constant(f"{name}.edges", edges)]
    if value is not None:
        old = build.tensors[source].quantization
        scale = None if old is None else Scale(old.scale, int(old.zeroPoint[0]))
        inputs.append(build.constant(f"{name}.value", value, scale))
    kind, options = ("PAD", "PadOptions") if value is None else ("PADV2", "PadV2Options")
    sides = (
        n + sum(pads) for n, pads in zip(build.tensors[source].shape[1:3], needed, strict=True)
    )
    build.op(kind, inputs, build.like(name, source, *sides), options)
    return name, VALID


def _padding(
    build: Builder, node: Node | Int8Node, source: str
) -> tuple[int | None, list[tuple[int, int]]]:
    """Which of TFLite's paddings pads as `node` does, if one does; and the rows, then the columns,
    that its windows read before and after the map. SAME shares out evenly what is missing."""
    reach = Window(node.kernel, node.stride, node.dilation).reach
    sides = map(pair, (reach, node.stride, node.pads[0]))
    needed: list[tuple[int, int]] = []
    same = True
    read = build.tensors[source].shape[1:3]
    for size, out, window, stride, before in zip(read, node.shape[1:], *sides, strict=True):
        missing = max(0, (out - 1) * stride + window - size)
        needed.append((before, max(0, missing - before)))
        even = (missing // 2, missing - missing // 2)
        same = same and out == strided(size, stride) and needed[-1] == even
    if same:
        return SAME, needed
    return (None if any(map(any, needed)) else VALID), needed


def space_to_depth(build: Builder, node: Node | Int8Node, source: str) -> None:
    """Blocks of pixels as channels."""
    build.op("SPACE_TO_DEPTH", [source], node.name, "SpaceToDepthOptions", blockSize=node.kernel)


def upsample(build: Builder, node: Node | Int8Node, source: str) -> None:
    """Every pixel as several: without half pixels the nearest one is the floor of the place."""
    sides = build.constant(f"{node.name}.sides", np.array(node.shape[1:], np.int32))
    build.op("RESIZE_NEAREST_NEIGHBOR", [source, sides], node.name, "ResizeNearestNeighborOptions")


def kernel_layout(weight: NDArray[Any], op: str) -> NDArray[Any]:
    """(cout, cin per group, k, k) as TFLite orders it: (cout, k, k, cin), depthwise
    (1, k, k, cout), linear (cout, cin)."""
    if op == "linear":
        return weight.reshape(weight.shape[:2])
    return weight.transpose((1, 2, 3, 0) if op == "dwconv" else (0, 2, 3, 1))


def grouped(weight: NDArray[Any]) -> NDArray[Any]:
    """A depthwise kernel (C, 1, k, k) as one of a convolution with groups (C, channels of a group,
    k, k): zeros but for each channel's own. The group is the largest divisor of C up to `GROUP`."""
    channels = weight.shape[0]
    group = max(g for g in range(1, GROUP + 1) if channels % g == 0)
    found = np.zeros((channels, group, *weight.shape[2:]), weight.dtype)
    every = np.arange(channels)
    found[every, every % group] = weight[:, 0]
    return found
