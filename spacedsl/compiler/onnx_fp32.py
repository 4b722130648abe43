"""A network with its weights as an FP32 ONNX graph, batch norm folded. Needs the extra `onnx`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spacedsl.compiler.fold import fold_floats
from spacedsl.compiler.graph import WEIGHTED, Node
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.onnx_build import Builder, window_attributes
from spacedsl.compiler.parameters import Parameters, check_parameters
from spacedsl.compiler.plans import NetworkPlan
from spacedsl.compiler.stamp import IMAGE, metadata

if TYPE_CHECKING:
    from onnx import ModelProto


def emit_fp32(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    weights_from: str,
    labels: Iterable[str] = (),
    outputs: Iterable[str] = (),
) -> ModelProto:
    """The FP32 model. `outputs`: tensors to return besides the network's own. Raises
    `SpaceError` for parameters of another network."""
    graph = plan.graph
    check_parameters(graph, parameters)
    build = _Emitter(parameters)
    channels = {node.name: node.shape[0] for node in graph.nodes}
    for node in graph.nodes:
        build.emit(node, channels)
    for output in graph.outputs:
        kind, made = ("Identity", output.name) if output.is_map else ("Flatten", "flatten")
        build.op(kind, made, [build.names[output.node.name]], output.name)
    stamp = metadata(
        plan.origin,
        preprocess,
        labels,
        graph,
        precision="fp32",
        weights=weights_from,
    )
    shapes = {output.name: output.shape for output in graph.outputs}
    return build.model(graph.input, shapes, plan.origin.model, stamp, outputs)


class _Emitter(Builder):
    """`names`: the ONNX tensor of each network tensor."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.parameters = parameters
        self.names: dict[str, str] = {}

    def emit(self, node: Node, channels: dict[str, int]) -> None:
        inputs = [self.names[i] for i in node.inputs]
        name = node.name
        cin = channels[node.inputs[0]] if node.inputs else 0
        if node.op == "input":
            self.names[name] = IMAGE
            return
        if node.op in WEIGHTED:
            self.weighted(node, inputs[0], cin)
        elif node.op == "act":
            self.act(node.act or "", name, inputs[0], name)
        else:
            self.plain(node, inputs, name)
        self.names[name] = name

    def weighted(self, node: Node, tensor: str, cin: int) -> None:
        name = node.name
        weight, bias = fold_floats(self.parameters[name])
        if node.op == "linear":
            flat = self.op("Flatten", f"{name}.flatten", [tensor], f"{name}.flat")
            parts = [
                self.constant(f"{name}.weight", weight.reshape(weight.shape[:2])),
                self.constant(f"{name}.bias", bias),
            ]
            self.op("Gemm", name, [flat, *parts], name, transB=1)
            return
        parts = [
            self.constant(f"{name}.weight", weight),
            self.constant(f"{name}.bias", bias),
        ]
        self.op("Conv", name, [tensor, *parts], name, **window_attributes(node, cin))
