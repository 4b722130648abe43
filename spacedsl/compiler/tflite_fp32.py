"""A network with its weights as an FP32 TFLite file, batch norm folded. Needs the extra
`tflite`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spacedsl.compiler.channels import CHANNELS, tflite_channels
from spacedsl.compiler.fold import fold_floats
from spacedsl.compiler.graph import WEIGHTED, Node
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.parameters import Parameters, check_parameters
from spacedsl.compiler.plans import NetworkPlan
from spacedsl.compiler.stamp import IMAGE, metadata
from spacedsl.compiler.tflite_build import Builder
from spacedsl.compiler.tflite_window import (
    average_pool,
    convolution,
    kernel_layout,
    max_pool,
    space_to_depth,
    upsample,
)
from spacedsl.operators.activations import ACTIVATIONS

NOT_NEGATIVE = frozenset(word for word, act in ACTIVATIONS.items() if act.low >= 0)


def emit_fp32(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    weights_from: str,
    labels: Iterable[str] = (),
    outputs: Iterable[str] = (),
) -> bytes:
    """The FP32 file, image (N, H, W, C) to logits (N, classes) or taps (N, H, W, C). `outputs`:
    tensors to return besides these. Raises `SpaceError` for parameters of another network."""
    graph = plan.graph
    check_parameters(graph, parameters)
    build = _Emitter(parameters)
    nodes = graph.by_name()
    for node in graph.nodes:
        build.emit(node, [nodes[i] for i in node.inputs])
    for output in graph.outputs:
        build.output(build.named(output.node), output)
    stamp = metadata(
        plan.origin,
        preprocess,
        labels,
        graph,
        layout="NHWC",
        precision="fp32",
        weights=weights_from,
    )
    names = [*(output.name for output in graph.outputs), *outputs]
    return build.model(names, plan.origin.model, stamp)


class _Emitter(Builder):
    """Tensor `x` of the network is the tensor `x`; the input is `image`."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.parameters = parameters

    @staticmethod
    def named(node: Node) -> str:
        """The tensor that a node of the network makes."""
        return IMAGE if node.op == "input" else node.name

    def emit(self, node: Node, before: list[Node]) -> None:
        channels, height, width = node.shape
        name, inputs = self.named(node), [self.named(n) for n in before]
        self.tensor(name, (1, height, width, channels), np.float32)
        if node.op in WEIGHTED:
            self.weighted(node, inputs[0])
        elif node.op == "act":
            self.act(node.act or "", inputs[0], name)
        elif node.op == "pool":
            axes = self.constant(f"{name}.axes", np.array([1, 2], np.int32))
            self.op("MEAN", [*inputs, axes], name, "ReducerOptions", keepDims=True)
        elif node.op == "maxpool":
            least = np.array([np.finfo(np.float32).min], np.float32)
            max_pool(self, node, inputs[0], None if before[0].act in NOT_NEGATIVE else least)
        elif node.op == "avgpool":
            average_pool(self, node, inputs[0], name)
        elif node.op == "space-to-depth":
            space_to_depth(self, node, inputs[0])
        elif node.op == "upsample":
            upsample(self, node, inputs[0])
        elif node.op == "add":
            self.op("ADD", inputs, name, "AddOptions")
        elif node.op == "mul":
            self.op("MUL", inputs, name, "MulOptions")
        elif node.op in CHANNELS:
            tflite_channels(self, node, inputs, name)

    def weighted(self, node: Node, source: str) -> None:
        weight, bias = fold_floats(self.parameters[node.name])
        parts = [
            source,
            self.constant(f"{node.name}.weight", kernel_layout(weight, node.op)),
            self.constant(f"{node.name}.bias", bias),
        ]
        if node.op == "linear":
            self.op("FULLY_CONNECTED", parts, node.name, "FullyConnectedOptions", keepNumDims=True)
        else:
            convolution(self, node, *parts)
