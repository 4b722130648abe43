"""Channels that are put one behind the other, taken or put in another order, in the words of
files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.graph import Node
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.tflite_build import Builder
from spacedsl.operators.size import pair

CHANNELS = ("concat", "slice", "shuffle")
"""Ops that only move channels."""


def shuffled_order(channels: int, groups: int) -> NDArray[np.int64]:
    """The channel that stands at each place after a shuffle, (C,)."""
    return np.arange(channels).reshape(groups, -1).T.reshape(-1)


def onnx_constants(node: Node | Int8Node) -> dict[str, NDArray[Any]]:
    """What a node's operator of ONNX reads besides its inputs, by name, in order."""
    match node.op:
        case "slice":
            ends = {"start": node.start, "end": node.start + node.shape[0], "axis": 1}
            return {name: np.array([value]) for name, value in ends.items()}
        case "shuffle":
            return {"order": shuffled_order(node.shape[0], node.groups)}
        case "upsample":
            factors = np.array([1, 1, *pair(node.kernel)], np.float32)
            return {"region": np.zeros(0, np.float32), "factors": factors}
        case _:
            return {}


def onnx_attributes(node: Node | Int8Node) -> dict[str, Any]:
    """Attributes of a node's operator of ONNX: the channels' dimension, a block, or that each pixel
    becomes several."""
    if node.op == "upsample":
        ways = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return {"mode": "nearest"} | ways
    if node.op == "space-to-depth":
        return {"blocksize": node.kernel}
    return {"axis": 1} if node.op in ("concat", "shuffle") else {}


def tflite_channels(build: Builder, node: Node | Int8Node, inputs: list[str], output: str) -> None:
    """A `concat`, a `slice` or a `shuffle` of tensors (N, H, W, C)."""
    channels = node.shape[0]
    match node.op:
        case "concat":
            build.op("CONCATENATION", inputs, output, "ConcatenationOptions", axis=3)
        case "slice":
            ends = [0, 0, 0, node.start], [0, 0, 0, node.start + channels], [1, 1, 1, 1]
            named = zip(("begin", "end", "stride"), ends, strict=True)
            parts = [build.constant(f"{output}.{n}", np.array(e, np.int32)) for n, e in named]
            options = {"beginMask": 0b0111, "endMask": 0b0111}  # all, but for the channels
            build.op("STRIDED_SLICE", [*inputs, *parts], output, "StridedSliceOptions", **options)
        case "shuffle":
            _shuffle(build, inputs[0], output, (node.groups, channels // node.groups))


def _shuffle(build: Builder, source: str, output: str, parts: tuple[int, int]) -> None:
    """The channels as (groups, channels of each), these the other way round, and as channels
    again. Rows and columns are one dimension meanwhile, since four are what XNNPACK transposes."""
    _, height, width, channels = build.tensors[source].shape
    places = height * width
    apart = build.alike(f"{output}.groups", source, (1, places, *parts))
    shape = [-1, places, *parts]
    words = build.constant(f"{output}.shape", np.array(shape, np.int32))
    build.op("RESHAPE", [source, words], apart, "ReshapeOptions", newShape=shape)
    turned = build.alike(f"{output}.turned", source, (1, places, *reversed(parts)))
    order = build.constant(f"{output}.order", np.array([0, 1, 3, 2], np.int32))
    build.op("TRANSPOSE", [apart, order], turned, "TransposeOptions")
    whole = [-1, height, width, channels]
    words = build.constant(f"{output}.whole", np.array(whole, np.int32))
    build.op("RESHAPE", [turned, words], output, "ReshapeOptions", newShape=whole)
