"""Convolutions on a multiple of 16 channels, the rest zeros: the same integers, faster.

ONNX Runtime's depthwise kernel takes 16 channels at a time and any rest one by one: 72 channels
take twice as long as 80. Its dense kernel of 3x3 makes 16 outputs in less time than 8
(docs/lowering.md). So these convolutions get channels that nobody's weights look at. Behind a
concat they stand between the others, at the end of each part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.fold import IntWeights
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.plans import Int8Plan
from spacedsl.operators.operators import words_where
from spacedsl.runtimes.rules import Rules

MIXING = words_where(mixes=True)
"""Ops whose channels are not those of what they read."""

COUNTING = ("slice", "shuffle", "space-to-depth")
"""Ops that move channels by their number."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a tensor: how many there are, and the places of those that the network has,
    ascending, (C,)."""

    count: int
    places: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Run:
    """Channels that some tensors have in common: `width` of the network's, and `count` with those
    that are added behind them. Of joined channels there are `parts` instead, which come to
    `width`. `given`: nothing may be added."""

    width: int
    parts: list[_Run] = field(default_factory=list)
    given: bool = False
    count: int = 0
    same: _Run | None = None

    def root(self) -> _Run:
        """The one that stands for all that are the same."""
        run = self
        while run.same is not None:
            run = run.same
        return run

    def leaves(self) -> Iterable[_Run]:
        """The runs that it is made of, in order."""
        root = self.root()
        if not root.parts:
            yield root
        for part in root.parts:
            yield from part.leaves()

    def total(self) -> int:
        """Channels with those that are added."""
        return sum(leaf.count for leaf in self.leaves())


def _unite(one: _Run, other: _Run) -> None:
    """Say that two runs are the same. Where they are joined in different ways, nothing is added to
    any of their parts."""
    one, other = one.root(), other.root()
    if one is other:
        return
    mine, theirs = one.parts, other.parts
    if mine and theirs and [p.width for p in mine] == [p.width for p in theirs]:
        for a, b in zip(mine, theirs, strict=True):
            _unite(a, b)
    elif mine and theirs:
        for leaf in (*one.leaves(), *other.leaves()):
            leaf.given = True
    one.parts = mine or theirs
    one.given = one.given or other.given
    other.same = one


def padded_channels(plan: Int8Plan, rules: Rules) -> dict[str, Channels]:
    """Channels of every tensor such that each depthwise convolution has a multiple of what `rules`
    says, and each dense one wider than 1x1 the outputs that they ask for.
    Tensors that share channels (through sums, products, pools) share the places; the input and
    the outputs keep theirs, and so does what is counted, sliced or shuffled."""
    graph = plan.graph
    runs = {node.name: _Run(node.shape[0], count=node.shape[0]) for node in graph.nodes}
    for node in graph.nodes:
        if node.op == "concat":
            joined = _Run(node.shape[0], [runs[name] for name in node.inputs])
            _unite(runs[node.name], joined)
        elif node.op not in MIXING:
            for source in node.inputs:
                _unite(runs[node.name], runs[source])
    given = {graph.nodes[0].name, *(node.name for _, node in plan.outputs())}
    for node in graph.nodes:
        if node.groups > 1 or node.op in COUNTING:
            given |= {node.name, *node.inputs}
    for name in given:
        runs[name].root().given = True
    for run in runs.values():
        if run.root().given:
            for leaf in run.leaves():
                leaf.given = True
    while any(_widen(runs[node.name], node, rules) for node in graph.nodes):
        pass  # what one op adds to a part may be too much or too little for another
    return {name: _channels(run) for name, run in runs.items()}


def _widen(run: _Run, node: Int8Node, rules: Rules) -> bool:
    """Add the channels that a node asks for. Were some added?"""
    least = rules.dense_outputs if node.op == "conv" and node.kernel != 1 else 1
    step = rules.depthwise_multiple if node.op == "dwconv" else 1
    before = run.total()
    if before < least or before % step:
        for leaf in run.leaves():
            if not leaf.given:
                leaf.count = -(-max(leaf.count, least) // step) * step
    return run.total() > before


def _channels(run: _Run) -> Channels:
    leaves = list(run.leaves())
    starts = np.cumsum([0, *(leaf.count for leaf in leaves)])
    places = [start + np.arange(leaf.width) for start, leaf in zip(starts, leaves, strict=False)]
    return Channels(int(starts[-1]), np.concatenate(places))


def pad_channels(model: IntegerModel, rules: Rules) -> IntegerModel:
    """`model` with the channels of `padded_channels`: zero weights and biases in the rows that no
    network has, and in the columns that read them. The other channels hold what they held."""
    graph = model.header.plan.graph
    channels = padded_channels(model.header.plan, rules)
    nodes = tuple(
        replace(node, shape=(channels[node.name].count, *node.shape[1:])) for node in graph.nodes
    )
    plan = model.header.plan.model_copy(update={"graph": graph.model_copy(update={"nodes": nodes})})
    weights = {
        node.name: _wider(model.weights[node.name], node, channels)
        for node in graph.nodes
        if node.source
    }
    return IntegerModel(model.header.model_copy(update={"plan": plan}), weights)


def _wider(found: IntWeights, node: Int8Node, channels: Mapping[str, Channels]) -> IntWeights:
    rows, read = channels[node.name], channels[node.inputs[0]]
    wider = np.zeros((rows.count, *found.weight.shape[1:]), found.weight.dtype)
    wider[rows.places] = found.weight
    if node.op != "dwconv" and node.groups == 1:
        narrow, shape = wider, (rows.count, read.count, *wider.shape[2:])
        wider = np.zeros(shape, narrow.dtype)
        wider[:, read.places] = narrow
    scale = np.ones(rows.count, found.scale.dtype)
    bias = np.zeros(rows.count, found.bias.dtype)
    scale[rows.places], bias[rows.places] = found.scale, found.bias
    return IntWeights(wider, scale, bias)
