"""An integer model as an INT8 TFLite file, its scales and zero points unchanged (uint8 minus 128
being int8). Needs the extra `tflite`.

Tensors are (N, H, W, C); each tensor of the plan is one int8 tensor of the same name, with the
scale that its readers take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.channels import CHANNELS, tflite_channels
from spacedsl.compiler.fold import WEIGHT_MAX, bias_scale
from spacedsl.compiler.graph import Output
from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import IntegerModel, Quantiser, check_model
from spacedsl.compiler.stamp import IMAGE, metadata
from spacedsl.compiler.stem import BLOCK, foldable, folded_node
from spacedsl.compiler.tflite_build import Builder, Scale, one_scale
from spacedsl.compiler.tflite_window import (
    average_pool,
    convolution,
    grouped,
    kernel_layout,
    max_pool,
    space_to_depth,
    upsample,
)
from spacedsl.diagnostics import fault
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import area, pair

INT8_MIN = -128
MOST_STEPS = 256
"""How many steps of its result the product of one step each is, below: XNNPACK takes no more."""

TAKEN = {"ADD": (2**-10, 2**8), "MUL": (2**-16, 2**8)}
"""How many steps of its result one step of what goes in is, from .. to below, where XNNPACK adds
and multiplies integers. LiteRT's own operators take the others, and give other numbers there."""


def emit_int8(model: IntegerModel, outputs: Iterable[str] = ()) -> bytes:
    """The INT8 file, image (N, H, W, C) float32 to logits (N, classes) or taps (N, H, W, C)
    float32; `outputs`: plan tensors to return (as int8) besides these. Raises `SpaceError` where
    numbers and plan disagree, or where the plan is for another runtime."""
    header = model.header
    plan = header.plan
    if "tflite" not in plan.rules.formats:
        raise fault(
            "wrong-target",
            f"the plan's 8-bit tensors are those of {plan.rules.runtime}, which runs no TFLite",
            "compile for a target that runs LiteRT",
        )
    check_model(model)
    build = _Emitter(model)
    shown = plan.outputs()
    for node in model.nodes:
        build.emit(node)
        for output, made in shown:  # right behind its op, as LiteRT runs them
            if made.name == node.name:
                build.finish(output, node)
    stamp = metadata(
        plan.origin,
        header.preprocess,
        header.labels,
        plan.network,
        layout="NHWC",
        precision="int8",
        weights=header.weights_from,
        target=plan.target,
        runtime=plan.rules.runtime,
    )
    names = [*(output.name for output, _ in shown), *outputs]
    return build.model(names, plan.origin.model, stamp)


class _Emitter(Builder):
    """Tensor `x` of the plan is the tensor `x`."""

    def __init__(self, model: IntegerModel) -> None:
        super().__init__()
        self.integer = model
        self.rules = model.header.plan.rules
        graph = model.header.plan.graph
        self.stem = foldable(graph) if self.rules.stem == "space-to-depth" else None

    def quantiser(self, name: str) -> Quantiser:
        return self.integer.header.quantisers[name]

    def read(self, name: str) -> Scale:
        """The scale and int8 zero point that readers of a tensor take."""
        found = self.quantiser(name)
        return one_scale(found.read, found.zero_point + INT8_MIN)

    def emit(self, node: Int8Node) -> None:
        name, inputs = node.name, node.inputs
        channels, height, width = node.shape
        if node.op == "input":
            self.tensor(IMAGE, (1, height, width, channels), np.float32)
        self.tensor(name, (1, height, width, channels), np.int8, self.read(name))
        match node.op:
            case "input":
                self.op("QUANTIZE", [IMAGE], name, "QuantizeOptions")
            case "conv" | "dwconv" | "linear":
                self.weighted(node)
            case "shift":
                self.shift(node)
            case "add":
                self.pairwise("ADD", node, [self.steps(i, name) for i in inputs])
            case "mul":
                product = self.steps(inputs[0], name) * float(self.read(inputs[1]).scale[0])
                self.pairwise("MUL", node, [product])
            case "pool":
                axes = self.constant(f"{name}.axes", np.array([1, 2], np.int32))
                self.op("MEAN", [*inputs, axes], name, "ReducerOptions", keepDims=True)
            case "maxpool":
                zero_is_least = self.quantiser(inputs[0]).zero_point == 0
                least = None if zero_is_least else np.array([INT8_MIN], np.int8)
                max_pool(self, node, inputs[0], least)
            case "avgpool":
                self.average(node)
            case "space-to-depth":
                space_to_depth(self, node, inputs[0])
            case "upsample":
                upsample(self, node, inputs[0])
            case "concat":
                tflite_channels(self, node, [self.in_steps_of(name, i) for i in inputs], name)
            case op if op in CHANNELS:
                tflite_channels(self, node, list(inputs), name)
            case act:
                self.function(act, inputs[0], name)

    def in_steps_of(self, name: str, source: str) -> str:
        """A tensor in the steps of another, which TFLite wants of all that it puts together: times
        one, since XNNPACK's QUANTIZE rescales with eight bits only."""
        if self.quantiser(source) == self.quantiser(name):
            return source
        made = f"{name}.{source}"
        if made not in self.tensors:
            self.tensor(made, self.tensors[source].shape, np.int8, self.read(name))
            least, most = TAKEN["MUL"]
            if least <= self.steps(source, name) < most:
                one = self.constant(f"{made}.one", np.ones((1, 1, 1, 1), np.int8), one_scale(1.0))
                self.op("MUL", [source, one], made, "MulOptions")
            else:
                real = self.tensor(f"{made}.float", self.tensors[source].shape, np.float32)
                self.op("DEQUANTIZE", [source], real, "DequantizeOptions")
                self.op("QUANTIZE", [real], made, "QuantizeOptions")
        return made

    def steps(self, source: str, name: str) -> float:
        """How many steps of a tensor are one of another's."""
        return float(self.read(source).scale[0]) / float(self.read(name).scale[0])

    def pairwise(self, kind: str, node: Int8Node, ratios: Iterable[float]) -> None:
        """A sum or product of two tensors; in float where one step that goes in is more or less of
        the result's than XNNPACK takes."""
        least, most = TAKEN[kind]
        options, name = f"{kind.title()}Options", node.name
        if all(least <= ratio < most for ratio in ratios):
            self.op(kind, node.inputs, name, options)
            return
        for number, source in enumerate(node.inputs):
            inner = f"{name}.float{number}"
            self.tensor(inner, self.tensors[source].shape, np.float32)
            self.op("DEQUANTIZE", [source], inner, "DequantizeOptions")
        made = self.tensor(f"{name}.made", self.tensors[name].shape, np.float32)
        self.op(kind, [f"{name}.float0", f"{name}.float1"], made, options)
        self.op("QUANTIZE", [made], name, "QuantizeOptions")

    def function(self, act: str, source: str, name: str) -> None:
        """An activation as an op of its own, on 8 bits or in float."""
        if "tflite" not in ACTIVATIONS[act].floats:
            self.act(act, source, name)
            return
        shape = self.tensors[source].shape
        inner = self.tensor(f"{name}.float", shape, np.float32)
        self.op("DEQUANTIZE", [source], inner, "DequantizeOptions")
        made = self.act(act, inner, self.tensor(f"{name}.made", shape, np.float32))
        self.op("QUANTIZE", [made], name, "QuantizeOptions")

    def ratio(self, name: str) -> np.float32:
        """What readers of a tensor take for each step that its op writes."""
        found = self.quantiser(name)
        return np.float32(np.float32(found.read) / np.float32(found.write))

    def weighted(self, node: Int8Node) -> None:
        """A convolution writes in the scale that is read: a hard-sigmoid's sixth is in the scales
        of its weights."""
        name, source = node.name, node.inputs[0]
        found = self.integer.weights[name]
        scale = found.scale * self.ratio(name)
        self.check_factor(name, source, scale)
        grid = bias_scale(np.float32(self.quantiser(source).read), scale)
        op, weight = node.op, found.weight
        taps = self.rules.depthwise_taps
        if node == self.stem:
            source = self.blocks(source)
            node, weight = folded_node(node, weight)
        if op == "dwconv" and taps is not None and area(node.kernel) > taps:
            op, weight = "conv", grouped(weight)
        axis = 3 if op == "dwconv" else 0
        kernel = self.constant(f"{name}.weight", kernel_layout(weight, op), Scale(scale, axis=axis))
        bias = self.constant(f"{name}.bias", found.bias, Scale(grid))
        if op == "linear":
            parts = [source, kernel, bias]
            self.op("FULLY_CONNECTED", parts, name, "FullyConnectedOptions", keepNumDims=True)
        else:
            convolution(self, node, source, kernel, bias)

    def check_factor(self, name: str, source: str, scale: NDArray[np.float32]) -> None:
        """Refuse what LiteRT does not load: a product of one step each that is many of the result's
        steps. No training gives such scales, for the result would be full after one of them."""
        steps = self.read(source).scale[0] * scale / self.read(name).scale[0]
        if steps.max() >= MOST_STEPS:
            message = (
                f"one step into `{name}` is {steps.max():,.0f} of the steps that it writes, and "
                f"LiteRT takes fewer than {MOST_STEPS}"
            )
            help = "the scales are those of another network or damaged: train or calibrate it again"
            raise fault("bad-integer-model", message, help)

    def blocks(self, source: str) -> str:
        """The image as 2 x 2 pixels at a time."""
        channels, height, width = self.integer.nodes[0].shape
        name, shape = f"{source}.blocks", (1, height // BLOCK, width // BLOCK, channels * BLOCK**2)
        made = self.tensor(name, shape, np.int8, self.read(source))
        return self.op("SPACE_TO_DEPTH", [source], made, "SpaceToDepthOptions", blockSize=BLOCK)

    def shift(self, node: Int8Node) -> None:
        """The sum with a constant, which saturates. Where its input has other steps than it can
        take, it is first taken in these: the same integers, another scale. They are those that
        readers take where the op writes others, and at most so large that one of them goes from
        end to end of the result: larger ones give the same, and are more than XNNPACK takes. A
        constant of 0 has these steps too."""
        name, source, ratio = node.name, node.inputs[0], self.ratio(node.name)
        _, height, width = node.shape
        before, after = self.read(source), self.read(name)
        factor = np.minimum(ratio, QMAX * after.scale / before.scale)
        if factor != 1:
            own = Scale(before.scale * factor, before.zero)
            one = np.ones((1, 1, 1, 1), np.int8)
            constant = self.constant(f"{name}.ratio", one, Scale(factor))
            scaled = self.tensor(f"{name}.scaled", (1, height, width, node.shape[0]), np.int8, own)
            source = self.op("MUL", [source, constant], scaled, "MulOptions")
        offset = node.offset * float(ratio)
        steps = WEIGHT_MAX if offset > 0 else 0
        scale = one_scale(offset / WEIGHT_MAX) if offset > 0 else Scale(before.scale * factor)
        amount = self.constant(f"{name}.offset", np.full((1, 1, 1, 1), steps, np.int8), scale)
        self.op("ADD", [source, amount], name, "AddOptions")

    def average(self, node: Int8Node) -> None:
        """An average pool: a depthwise convolution where every window counts all its pixels, else
        in float (the integer kernel is not XNNPACK's, and cannot rescale)."""
        name, source, count = node.name, node.inputs[0], area(node.kernel)
        channels, height, width = node.shape
        taps = self.rules.depthwise_taps
        if node.pads == (0, 0) and (taps is None or count <= taps):
            scale = np.full(channels, 1 / (count * WEIGHT_MAX), np.float32)
            steps = np.full((1, *pair(node.kernel), channels), WEIGHT_MAX, np.int8)
            kernel = self.constant(f"{name}.weight", steps, Scale(scale, axis=3))
            grid = Scale(bias_scale(np.float32(self.quantiser(source).read), scale))
            bias = self.constant(f"{name}.bias", np.zeros(channels, np.int32), grid)
            convolution(self, replace(node, op="dwconv"), source, kernel, bias)
            return
        shape = self.tensors[source].shape
        inner = self.tensor(f"{name}.float", shape, np.float32)
        self.op("DEQUANTIZE", [source], inner, "DequantizeOptions")
        mean = self.tensor(f"{name}.mean", (1, height, width, channels), np.float32)
        average_pool(self, node, inner, mean)
        self.op("QUANTIZE", [mean], name, "QuantizeOptions")

    def finish(self, output: Output, node: Int8Node) -> None:
        """The numbers that an 8-bit tensor stands for as an output of the file."""
        channels, height, width = node.shape
        name = output.name if output.is_map else f"{node.name}.float"
        real = self.tensor(name, (1, height, width, channels), np.float32)
        self.op("DEQUANTIZE", [node.name], real, "DequantizeOptions")
        if not output.is_map:
            self.output(real, output)
