"""A program's INT8 graph under a target's rules: the nodes that `spacedsl.compiler.int8` makes of
the same network, with the keys under which training keeps their quantisers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from spacedsl.compiler.int8 import FIXED, Fixed
from spacedsl.compiler.supernet import PlanRules
from spacedsl.passes.program import Layer, Program, Residual, se_layers
from spacedsl_runtime.errors import PlanError

Op = str
"""An op of `spacedsl.compiler.int8`, or dropout."""

Clip = Literal["none", "relu", "relu6"]

WEIGHTED = frozenset({"conv", "dwconv", "linear"})

OWN_SCALE = frozenset({"conv", "dwconv", "linear", "add", "shift", "mul", "avgpool", "pool"})
"""Ops that rescale, so that their quantiser can clip."""


@dataclass(frozen=True)
class Node:
    """One op and the 8-bit tensor it makes, under its name in the INT8 plan (dropout is in none).

    `place`: where the op stands, a key that stays whatever else is left out. `clip`: the quantiser
    is the activation. `offset` is added to the result. `fixed`: a quantiser that no data decides.
    `layer`: sizes, of ops that have them."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    place: str
    layer: Layer | None = None
    clip: Clip = "none"
    offset: float = 0.0
    fixed: Fixed | None = None

    @property
    def shared(self) -> bool:
        """Is the quantiser that of the input?"""
        return self.op in ("maxpool", "dropout")

    @property
    def edge(self) -> str | None:
        """The key of the learned quantiser; None without one."""
        if self.fixed is not None or self.shared:
            return None
        return self.place if self.clip == "none" else f"{self.place}-{self.clip}"

    @property
    def weights(self) -> str | None:
        """The key of the scale of the weights; None without weights."""
        if self.op not in WEIGHTED:
            return None
        layer = self.sizes
        return f"{place_of(layer)}_{layer.part}" if layer.part else place_of(layer)

    @property
    def sizes(self) -> Layer:
        """The layer of an op that has one."""
        if self.layer is None:
            raise TypeError(f"{self.name} has no sizes")
        return self.layer


Int8Graph = tuple[Node, ...]


def clip_of(edge: str) -> Clip:
    """What the quantiser under a key clips."""
    _, _, found = edge.partition("-")
    return "relu" if found == "relu" else "relu6" if found == "relu6" else "none"


def int8_graph(program: Program, rules: PlanRules) -> Int8Graph:
    """The nodes in execution order. Raises `PlanError` for an activation that the rules lack."""
    build = _Builder(rules)
    build.body(program, build.put(Node("input", "input", (), "input")))
    return tuple(build.nodes.values())


def node_blocks(graph: Int8Graph) -> Iterator[Int8Graph]:
    """The nodes of each block after the input, in order; a block reads the tensor before it."""
    for _, nodes in groupby(graph[1:], lambda node: node.place.split("_")[:2]):
        yield tuple(nodes)


def place_of(layer: Layer) -> str:
    """The key of an op: stage, block, slot."""
    stage, block, slot = layer.at
    return f"{stage}_{block}_{slot.replace('.', '_')}"


@dataclass
class _Builder:
    rules: PlanRules
    nodes: dict[str, Node] = field(default_factory=dict)

    def put(self, node: Node) -> str:
        self.nodes[node.name] = node
        return node.name

    def body(self, program: Program, tensor: str) -> str:
        for step in program:
            if isinstance(step, Residual):
                tensor = self.residual(step, tensor)
            else:
                tensor = self.layer(step, tensor)
        return tensor

    def residual(self, step: Residual, tensor: str) -> str:
        inputs = (self.body(step.main, tensor), self.body(step.shortcut, tensor))
        stage, block, slot = step.at
        place = f"{stage}_{block}_{slot}"
        made = self.put(Node(step.name, "add", inputs, place))
        return self.act(step.act, made, f"{step.name}.{step.act}", place)

    def layer(self, layer: Layer, tensor: str) -> str:
        name, place = layer.name, place_of(layer)
        match layer.kind:
            case "act":
                return self.act(layer.act, tensor, name, place)
            case "se":
                return self.squeeze(layer, tensor)
            case "conv" | "dwconv" | "linear" | "pool" | "maxpool" | "avgpool" | "dropout" as op:
                own = f"{place}_{layer.part}" if layer.inner else place
                made = self.put(Node(name, op, (tensor,), own, layer))
                return self.act(layer.act, made, f"{name}.{layer.act}", own)
            case "add":
                raise TypeError(f"{name} stands outside a residual")

    def squeeze(self, layer: Layer, tensor: str) -> str:
        name, place = layer.name, place_of(layer)
        pool = replace(layer, kind="pool", name=f"{name}.pool", kernel=layer.size, out_size=1)
        gate = self.put(Node(pool.name, "pool", (tensor,), f"{place}_pool", pool))
        for conv in se_layers(layer):
            gate = self.layer(conv, gate)
        return self.put(Node(f"{name}.mul", "mul", (tensor, gate), place))

    def act(self, act: str | None, tensor: str, name: str, place: str) -> str:
        """`act` of `tensor`, as a node `name` where it needs one."""
        if act is None:
            return tensor
        match dict(self.rules.acts).get(act):
            case "saturate" if act in FIXED:
                return self.clip(tensor, name, place, FIXED[act])
            case "saturate":
                return self.saturate(tensor, name, place, "relu6" if act == "relu6" else "relu")
            case "gate":
                return self.gate(tensor, name, place)
            case "table":
                return self.table(tensor, name, place)
            case "gated-product":
                gate = self.shift(tensor, f"{name}.gate", place)
                return self.put(Node(name, "mul", (tensor, gate), f"{place}_{act}"))
            case "table-product":
                gate = self.table(tensor, f"{name}.gate", place)
                return self.put(Node(name, "mul", (tensor, gate), f"{place}_{act}"))
            case "function" | "float":
                return self.put(Node(name, act, (tensor,), f"{place}_{act}"))
            case _:
                target = f"{self.rules.target} ({self.rules.runtime})"
                raise PlanError(f"the target {target} has no 8-bit form of the activation {act}")

    def free(self, tensor: str) -> bool:
        """May the op before take an activation over?"""
        before = self.nodes[tensor]
        return before.op in OWN_SCALE and before.clip == "none" and before.fixed is None

    def saturate(self, tensor: str, name: str, place: str, clip: Clip) -> str:
        if self.free(tensor):
            return self.put(replace(self.nodes[tensor], clip=clip))
        return self.put(Node(name, "shift", (tensor,), place, clip=clip))

    def clip(self, tensor: str, name: str, place: str, fixed: Fixed) -> str:
        if self.free(tensor):
            return self.put(replace(self.nodes[tensor], fixed=fixed))
        return self.put(Node(name, "shift", (tensor,), place, fixed=fixed))

    def gate(self, tensor: str, name: str, place: str) -> str:
        before, rules = self.nodes[tensor], self.rules
        if self.free(tensor) and before.op in WEIGHTED:
            return self.put(replace(before, fixed=rules.gate, offset=rules.bias_offset))
        return self.shift(tensor, name, place)

    def shift(self, tensor: str, name: str, place: str) -> str:
        rules = self.rules
        made = Node(name, "shift", (tensor,), place, offset=rules.op_offset, fixed=rules.gate)
        return self.put(made)

    def table(self, tensor: str, name: str, place: str) -> str:
        return self.put(Node(name, "sigmoid", (tensor,), place, fixed=self.rules.table))
