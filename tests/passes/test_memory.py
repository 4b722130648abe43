"""Peak memory of activations, against what is alive in the lowered graph."""

from __future__ import annotations

import random

import pytest

from spacedsl import api
from spacedsl.compiler.graph import Graph, lower
from spacedsl.ir.sampling import random_subnet
from spacedsl.passes.extremes import cost_range
from spacedsl.passes.memory import subnet_memory

IN_PLACE = ("act", "add", "mul")


def alive(graph: Graph) -> int:
    """The most bytes of tensors at a time: those still to be read, and the one that is made, where
    it does not take the place of one that is read for the last time."""
    size = {node.name: node.shape[0] * node.shape[1] * node.shape[2] for node in graph.nodes}
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    peak, held = 0, {graph.input.name}
    for i, node in enumerate(graph.nodes[1:], 1):
        free = {name for name in node.inputs if last[name] == i}
        replaced = [n for n in free if size[n] == size[node.name]] if node.op in IN_PLACE else []
        bytes_held = sum(size[name] for name in held)
        peak = max(peak, bytes_held + (0 if replaced else size[node.name]))
        held = (held - free) | ({node.name} & last.keys())  # an output is its reader's
    return peak


@pytest.mark.parametrize(
    "space",
    [
        *("tiny", "vnni", "pixel4", "mobilenetv3", "resnet50", "attentivenas", "fashion-mbv3"),
        *("c2f", "mobilenetv4-fpn"),
    ],
)
def test_as_the_graph_needs(space: str) -> None:
    found, rng = api.load_space(space), random.Random(0)
    costs = cost_range(found)
    for _ in range(12):
        subnet = random_subnet(found, rng)
        memory = subnet_memory(subnet)
        assert memory == alive(lower(subnet))
        assert costs.memory.least <= memory <= costs.memory.greatest


def test_a_range_is_attained() -> None:
    """Of a space so small that all its subnets are drawn."""
    found, rng = api.load_space("tiny"), random.Random(1)
    costs = cost_range(found)
    drawn = {subnet_memory(random_subnet(found, rng)) for _ in range(3000)}
    assert (min(drawn), max(drawn)) == (costs.memory.least, costs.memory.greatest)
