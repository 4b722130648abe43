"""A network's INT8 graph as it is trained: with dropout, with the layer of every node, and with the
keys of the quantisers that are learned.

A key says where an op stands in its block, whatever else is left out, so that all subnets of a
supernet share the quantisers of an op."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from spacedsl.compiler.graph import INPUT, WEIGHTED, Node, Shape, image_node, lowered
from spacedsl.compiler.int8 import Clip, Int8Node, quantised
from spacedsl.operators.activation import Rewrite
from spacedsl.passes.program import Layer, Program

KEY = re.compile(r"input|\d+_\d+_\w+(-relu6?)?")
"""The form of a key."""


@dataclass(frozen=True, slots=True)
class QatNode:
    """A node, the layer that it runs (none for the input), and the keys of its learned quantisers:
    `edge` that of its tensor, `weights` that of its weights, None without one."""

    node: Int8Node
    layer: Layer | None = None
    edge: str | None = None
    weights: str | None = None

    @property
    def sizes(self) -> Layer:
        """The layer, of a node that is not the input."""
        if self.layer is None:
            raise TypeError(f"{self.node.name} has no layer")
        return self.layer


QatGraph = tuple[QatNode, ...]


def qat_graph(program: Program, image: Shape, rewrite: Callable[[str], Rewrite]) -> QatGraph:
    """The nodes of a program that reads a tensor of shape `image`, in execution order; `rewrite` as
    for `quantised`."""
    made = list(lowered(program))
    network = {found.node.name: found for found in made}
    nodes = (image_node(image), *(found.node for found in made))
    graph = []
    for node, origin in quantised(nodes, rewrite):
        if origin == INPUT:
            graph.append(QatNode(node, edge=INPUT))
            continue
        found = network[origin]
        own = network[node.like] if node.like else found
        edge = None if node.fixed or node.shared else _edge(node, own.node, own.layer)
        weights = _weights(found.layer) if node.op in WEIGHTED else None
        graph.append(QatNode(node, found.layer, edge, weights))
    return tuple(graph)


def _edge(node: Int8Node, origin: Node, layer: Layer) -> str:
    key = place_of(layer)
    if layer.inner or (layer.kind == "add" and layer.part):
        key += f"_{layer.part}"
    if origin.op == "pool" and layer.kind == "se":
        key += "_pool"
    if node.clip != "none":
        return f"{key}-{node.clip}"
    return f"{key}_{origin.act}" if origin.op == "act" else key


def _weights(layer: Layer) -> str:
    return f"{place_of(layer)}_{layer.part}" if layer.part else place_of(layer)


def place_of(layer: Layer) -> str:
    """The key of an op: stage, block, slot."""
    stage, block, slot = layer.at
    return f"{stage}_{block}_{slot.replace('.', '_')}"


def clip_of(edge: str) -> Clip:
    """What the quantiser under a key clips."""
    _, _, found = edge.partition("-")
    return "relu" if found == "relu" else "relu6" if found == "relu6" else "none"


def node_blocks(graph: QatGraph) -> Iterator[QatGraph]:
    """The nodes of each block, in order, without the input. Each reads what the last one made, but
    for those of a pyramid."""
    for _, nodes in groupby(graph[1:], lambda found: found.sizes.at[:2]):
        yield tuple(nodes)


def deployed(graph: QatGraph) -> Iterator[QatNode]:
    """The graph without dropout: the nodes of the INT8 plan."""
    made: dict[str, str] = {}
    for found in graph:
        node = found.node
        inputs = tuple(made.get(name, name) for name in node.inputs)
        if node.op == "dropout":
            made[node.name] = inputs[0]
        elif inputs == node.inputs:
            yield found
        else:
            yield replace(found, node=replace(node, inputs=inputs))
