"""Writing ONNX graphs: named nodes, initialisers, stamped models. Needs the extra `onnx`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spacedsl.compiler.channels import onnx_attributes, onnx_constants
from spacedsl.compiler.graph import Node
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.stamp import BATCH, IMAGE, described, seal, without_prefix
from spacedsl.diagnostics import fault
from spacedsl.operators.activation import LAST, X
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import OPERATORS, words_where
from spacedsl.operators.size import pair

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

OPSET = 17
"""Of files whose activations need no later one."""
QUANTISED = ".q"

PLAIN = words_where(onnx=True)
"""Ops that are one operator without weights."""


def need_onnx() -> None:
    """Raise `SpaceError` unless onnx is installed."""
    if importlib.util.find_spec("onnx") is None:
        message = "this needs the package onnx, which is not installed"
        raise fault("missing-extra", message, "pip install 'spacedsl[onnx]'")


@dataclass(slots=True)
class Builder:
    """Nodes and initialisers so far. Every node is named, since profilers keep only names."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    opset: int = OPSET

    def op(self, kind: str, name: str, inputs: Iterable[str], output: str, **attrs: Any) -> str:
        """Add a node; returns its output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **attrs))
        return output

    def act(self, act: str, name: str, x: str, output: str) -> str:
        """Add the calls of an activation of `x`; returns its output's name."""
        calls, last = ACTIVATIONS[act].onnx, x
        self.opset = max(self.opset, *(call.opset for call in calls))
        for i, call in enumerate(calls, start=1):
            own = "" if i == len(calls) else f".{i}"
            inputs = []
            for j, said in enumerate(call.inputs):
                known = {X: x, LAST: last}.get(said) if isinstance(said, str) else None
                inputs.append(known or self.constant(f"{name}{own}.{j}", np.float32(said)))
            last = self.op(
                call.op, f"{name}{own}", inputs, f"{output}{own}", **dict(call.attributes)
            )
        return last

    def plain(self, node: Node | Int8Node, inputs: Iterable[str], output: str) -> str:
        """Add an op without weights; returns its output's name."""
        record = OPERATORS[node.op]
        attrs = window_attributes(node, node.shape[0]) if record.window else onnx_attributes(node)
        found = onnx_constants(node).items()
        more = [self.constant(f"{node.name}.{name}", value) for name, value in found]
        return self.op(record.onnx, node.name, [*inputs, *more], output, **attrs)

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Add an initialiser; returns its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(
        self,
        source: Node,
        outputs: Mapping[str, Sequence[int]],
        name: str,
        stamp: Mapping[str, str],
        extra: Iterable[str],
    ) -> ModelProto:
        """The finished model: image (N, C, H, W) float32 to `outputs` (name -> shape of one image)
        float32; `extra` tensors (uint8 where they end in `.q`) become outputs too. It holds every
        tensor's shape, for viewers such as Netron."""
        from onnx import TensorProto, helper, shape_inference

        def value(name: str, shape: Iterable[int | str] | None) -> ValueInfoProto:
            type = TensorProto.UINT8 if name.endswith(QUANTISED) else TensorProto.FLOAT
            return helper.make_tensor_value_info(name, type, None if shape is None else list(shape))

        graph = helper.make_graph(
            self.nodes,
            name,
            [value(IMAGE, (BATCH, *source.shape))],
            [
                *(value(output, (BATCH, *shape)) for output, shape in outputs.items()),
                *(value(e, None) for e in extra),
            ],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        version = helper.find_min_ir_version_for(opsets)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=version)
        model.producer_name = "spacedsl"
        helper.set_model_props(model, dict(stamp))
        model.doc_string = described(without_prefix(stamp))
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def window_attributes(node: Node | Int8Node, cin: int) -> dict[str, Any]:
    """Attributes of a convolution or of a pool with a window."""
    before, after = map(pair, node.pads)
    attrs: dict[str, Any] = {
        "kernel_shape": list(pair(node.kernel)),
        "strides": list(pair(node.stride)),
        "pads": [*before, *after],
    }
    if node.dilation != 1:
        attrs["dilations"] = list(pair(node.dilation))
    if node.op in ("conv", "dwconv"):
        attrs["group"] = cin if node.op == "dwconv" else node.groups
    return attrs


def check(model: ModelProto) -> bytes:
    """The finished file, after `onnx.checker` has passed it."""
    from onnx import checker

    checker.check_model(model, full_check=False)
    return seal(model.SerializeToString(deterministic=True))
