"""Convolutions on a multiple of 16 channels, the rest zeros: the same integers, faster.

ONNX Runtime's depthwise kernel takes 16 channels at a time and any rest one by one: 72 channels
take twice as long as 80. Its dense kernel of 3x3 makes 16 outputs in less time than 8
(docs/lowering.md). So these convolutions get channels that nobody's weights look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spacedsl.compiler.channels import CHANNELS
from spacedsl.compiler.fold import IntWeights
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.plans import Int8Plan
from spacedsl.operators.operators import words_where
from spacedsl.runtimes.rules import Rules

MIXING = words_where(mixes=True)
"""Ops whose channels are not those of what they read."""


def padded_channels(plan: Int8Plan, rules: Rules) -> dict[str, int]:
    """Channels of every tensor such that each depthwise convolution has a multiple of what `rules`
    says, and each dense one wider than 1x1 the outputs that they ask for.
    Tensors that share channels (through sums, products, pools) share the number; the input and
    the outputs keep theirs."""
    graph = plan.graph
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for node in graph.nodes:
        root[node.name] = node.name
        if node.op not in MIXING:
            for source in node.inputs:
                root[find(source)] = find(node.name)
    ends = [graph.nodes[0], *(node for _, node in plan.outputs())]
    given = {find(node.name) for node in ends}
    for node in graph.nodes:
        if node.groups > 1 or node.op in (*CHANNELS, "space-to-depth"):  # which count them
            given |= {find(name) for name in (node.name, *node.inputs)}
    least: dict[str, int] = {}
    multiple: dict[str, int] = {}
    for node in graph.nodes:
        if find(node.name) not in given:
            if node.op == "dwconv":
                multiple[find(node.name)] = rules.depthwise_multiple
            elif node.op == "conv" and node.kernel != 1:
                least[find(node.name)] = rules.dense_outputs
    channels: dict[str, int] = {}
    for node in graph.nodes:
        step = multiple.get(find(node.name), 1)
        wanted = max(node.shape[0], least.get(find(node.name), 1))
        channels[node.name] = -(-wanted // step) * step
    return channels


def pad_channels(model: IntegerModel, rules: Rules) -> IntegerModel:
    """`model` with the channels of `padded_channels`: zero weights and biases in the rows that no
    network has, and in the columns that read them. The other channels hold what they held."""
    graph = model.header.plan.graph
    channels = padded_channels(model.header.plan, rules)
    nodes = tuple(
        replace(node, shape=(channels[node.name], *node.shape[1:])) for node in graph.nodes
    )
    plan = model.header.plan.model_copy(update={"graph": graph.model_copy(update={"nodes": nodes})})
    weights = {
        node.name: _wider(model.weights[node.name], node, channels)
        for node in graph.nodes
        if node.source
    }
    return IntegerModel(model.header.model_copy(update={"plan": plan}), weights)


def _wider(found: IntWeights, node: Int8Node, channels: Mapping[str, int]) -> IntWeights:
    rows = channels[node.name] - found.weight.shape[0]
    columns = (
        0
        if node.op == "dwconv"
        else channels[node.inputs[0]] // node.groups - found.weight.shape[1]
    )
    return IntWeights(
        np.pad(found.weight, ((0, rows), (0, columns), (0, 0), (0, 0))),
        np.pad(found.scale, (0, rows), constant_values=1.0),
        np.pad(found.bias, (0, rows)),
    )
