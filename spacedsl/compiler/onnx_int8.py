"""An integer model as an INT8 ONNX graph: QDQ, uint8 activations, int8 weights, int32 biases, a
quantiser on every edge. Needs the extra `onnx`.

ONNX Runtime turns `DequantizeLinear -> op -> QuantizeLinear` into its integer kernel for op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spacedsl.compiler.fold import bias_scale
from spacedsl.compiler.graph import Output
from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import IntegerModel, Quantiser, check_model
from spacedsl.compiler.onnx_build import PLAIN, QUANTISED, Builder, window_attributes
from spacedsl.compiler.pad import pad_channels
from spacedsl.compiler.stamp import IMAGE, metadata
from spacedsl.compiler.stem import BLOCK, foldable, folded_node
from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from onnx import ModelProto


MOVED = ("space-to-depth", "upsample")
"""Ops that read and write bytes, in steps that they need not know."""


def emit_int8(model: IntegerModel, outputs: Sequence[str] = ()) -> ModelProto:
    """The INT8 model; `outputs`: plan tensors to return (as uint8, with the channels that
    padding adds) besides the network's own. Raises `SpaceError` where numbers and plan disagree, or
    where the plan is for another runtime."""
    header = model.header
    plan = header.plan
    if "onnx" not in plan.rules.formats:
        raise fault(
            "wrong-target",
            f"the plan's 8-bit tensors are those of {plan.rules.runtime}, which runs no ONNX",
            "compile for a target that runs ONNX Runtime",
        )
    check_model(model)
    padded = pad_channels(model, plan.rules)
    build = _Emitter(padded, frozenset(outputs))
    for node in padded.nodes:
        build.emit(node)
    shapes: dict[str, tuple[int, ...]] = {}
    for output, node in plan.outputs():
        build.output(output, node)
        shapes[output.name] = output.shape
    stamp = metadata(
        plan.origin,
        header.preprocess,
        header.labels,
        plan.network,
        precision="int8",
        weights=header.weights_from,
        target=plan.target,
        runtime=plan.rules.runtime,
    )
    extra = [f"{name}{QUANTISED}" for name in outputs]
    return build.model(plan.network.input, shapes, plan.origin.model, stamp, extra)


class _Emitter(Builder):
    """Tensor `x` of the plan is `x.q` (uint8) and, for its readers, `x.dq` (float)."""

    def __init__(self, model: IntegerModel, outputs: frozenset[str]) -> None:
        super().__init__()
        self.integer = model
        self.by_name = model.header.plan.graph.by_name()
        self.channels = {node.name: node.shape[0] for node in model.nodes}
        readers = (node for node in model.nodes if node.op not in MOVED)
        self.unread = self.channels.keys() - {i for node in readers for i in node.inputs}
        plan = model.header.plan
        inner = {node.name for node in model.nodes if not node.value} - outputs
        self.float_gates = inner if plan.rules.gates == "float" else set()
        self.stem = foldable(plan.graph) if plan.rules.stem == "space-to-depth" else None

    def quantiser(self, name: str) -> Quantiser:
        return self.integer.header.quantisers[name]

    def emit(self, node: Int8Node) -> None:
        name = node.name
        if name in self.float_gates:
            return  # written with the product that reads it
        inputs = [f"{i}.dq" for i in node.inputs]
        match node.op:
            case "input":
                self.requantise(name, self.image(), self.quantiser(name))
                return
            case "conv" | "dwconv" | "linear":
                self.weighted(node)
            case op if op in MOVED:
                self.moved(node)
                return
            case "shift":
                inputs.append(self.shifted_by(node))
                self.op("Add", name, inputs, f"{name}.f")
            case "mul" if node.inputs[1] in self.float_gates:
                self.gated(node)
            case op if op in PLAIN:
                self.plain(node, inputs, f"{name}.f")
            case act:
                self.act(act, name, inputs[0], f"{name}.f")
        own = self.as_read(name) if node.shared else self.quantiser(name)
        self.requantise(name, f"{name}.f", own)

    def gated(self, node: Int8Node) -> None:
        """A product with its gate, which stays float."""
        name, (source, gate) = node.name, node.inputs
        act = self.by_name[gate].op
        if act == "shift":
            self.op("HardSwish", name, [f"{source}.dq"], f"{name}.f")
            return
        self.act(act, gate, f"{source}.dq", f"{gate}.f")
        self.op("Mul", name, [f"{source}.dq", f"{gate}.f"], f"{name}.f")

    def output(self, output: Output, node: Int8Node) -> None:
        """The numbers that an 8-bit tensor stands for as an output of the file."""
        quantiser, real = self.quantiser(node.name), f"{node.name}.dq"
        if output.is_map:
            self.dequantise(node.name, quantiser, f"{node.name}.{output.name}", output.name)
            return
        self.dequantise(node.name, quantiser, f"{node.name}.dequantize", real)
        self.op("Flatten", "flatten", [real], output.name)

    def image(self) -> str:
        """The image as its reader wants it."""
        if self.stem is None:
            return IMAGE
        return self.op("SpaceToDepth", "input.blocks", [IMAGE], "input.blocks", blocksize=BLOCK)

    def requantise(self, name: str, tensor: str, quantiser: Quantiser) -> None:
        """Quantise `tensor` to `name.q`, and dequantise that for its readers if it has any."""
        write, zero = self.numbers(name, quantiser)
        self.op("QuantizeLinear", f"{name}.quantize", [tensor, write, zero], f"{name}.q")
        if name not in self.unread:
            self.dequantise(name, quantiser, f"{name}.dequantize", f"{name}.dq")

    def numbers(self, name: str, quantiser: Quantiser) -> tuple[str, str]:
        """A quantiser's numbers; the names of the scale that is written in and of the zero."""
        zero = self.constant(f"{name}.zero", np.uint8(quantiser.zero_point))
        write = self.constant(f"{name}.write", np.float32(quantiser.write))
        if quantiser.read != quantiser.write:
            self.constant(f"{name}.read", np.float32(quantiser.read))
        return write, zero

    def moved(self, node: Int8Node) -> None:
        """Bytes as they are in other places: between a dequantiser and a quantiser ONNX Runtime
        would move floats."""
        name, quantiser = node.name, self.quantiser(node.name)
        self.numbers(name, quantiser)
        self.plain(node, [f"{node.inputs[0]}.q"], f"{name}.q")
        if name not in self.unread:
            self.dequantise(name, quantiser, f"{name}.dequantize", f"{name}.dq")

    def dequantise(self, name: str, quantiser: Quantiser, made: str, output: str) -> None:
        """What readers of `name.q` get as the tensor `output`, by a node called `made`."""
        read = "write" if quantiser.read == quantiser.write else "read"
        inputs = [f"{name}.q", f"{name}.{read}", f"{name}.zero"]
        self.op("DequantizeLinear", made, inputs, output)

    def shifted_by(self, node: Int8Node) -> str:
        """A constant as the greatest integer times its scale. On ARM sums are made in fixed point,
        in steps of the larger scale: with the integer 1 that would be the constant itself, and
        values near a tie came out one step off. So a constant of 0 has the steps of its input. Four
        dimensions of 1: a scalar costs 35 us instead of 4 after a global pool, one number per
        channel 15 times as much."""
        name, offset = node.name, node.offset
        read = self.quantiser(node.inputs[0]).read
        steps, scale = (QMAX, offset / QMAX) if offset > 0 else (0, read)
        inputs = [
            self.constant(f"{name}.offset", np.full((1, 1, 1, 1), steps, np.uint8)),
            self.constant(f"{name}.offset.scale", np.float32(scale)),
            self.constant(f"{name}.offset.zero", np.uint8(0)),
        ]
        return self.op("DequantizeLinear", f"{name}.offset.dequantize", inputs, f"{name}.offset.dq")

    def weighted(self, node: Int8Node) -> None:
        name, source = node.name, node.inputs[0]
        found = self.integer.weights[name]
        read = self.quantiser(source).read
        attrs = window_attributes(node, self.channels[source])
        weight = found.weight
        if node.op == "linear":
            weight = weight.reshape(weight.shape[:2])
        elif node == self.stem:
            folded, weight = folded_node(node, weight)
            attrs = window_attributes(folded, weight.shape[1])
        grid = bias_scale(np.float32(read), found.scale)
        parts = [
            self.constant_dq(f"{name}.weight", weight, found.scale),
            self.constant_dq(f"{name}.bias", found.bias, grid),
        ]
        if node.op == "linear":
            flat = self.op("Flatten", f"{name}.flatten", [f"{source}.dq"], f"{name}.flat.f")
            self.requantise(f"{name}.flat", flat, self.as_read(source))
            self.op("Gemm", name, [f"{name}.flat.dq", *parts], f"{name}.f", transB=1)
            return
        self.op("Conv", name, [f"{source}.dq", *parts], f"{name}.f", **attrs)

    def as_read(self, source: str) -> Quantiser:
        """The quantiser that changes nothing of what `source`'s readers get."""
        found = self.quantiser(source)
        return found.model_copy(update={"write": found.read})

    def constant_dq(self, name: str, integers: np.ndarray, scale: np.ndarray) -> str:
        """Integers with one scale per first index, dequantised."""
        inputs = [
            self.constant(name, integers),
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero", np.zeros(scale.shape, integers.dtype)),
        ]
        return self.op("DequantizeLinear", f"{name}.dequantize", inputs, f"{name}.dq", axis=0)
