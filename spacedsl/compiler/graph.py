"""A network as a graph of tensors: what a model's page says, op by op, all sizes known.

Each node makes one tensor, which has the node's name: `stage1.0.conv0`, `stage1.0.conv0.hswish`.
Nodes stand in execution order. One generic lowering from bound layers; no code per block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import model_validator

from spacedsl.ir.expr import Frozen
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import Bound, Layer, Residual, subnet_sites

INPUT = "input"

NodeOp = Literal[
    "input", "conv", "dwconv", "linear", "act", "add", "mul", "pool", "maxpool", "avgpool"
]

WEIGHTED = frozenset({"conv", "dwconv", "linear"})
"""Ops with weights."""

Shape = tuple[int, int, int]
"""(channels, height, width) of one image's tensor."""


class Node(Frozen):
    """One op and the tensor it makes. `pads` are the rows (and columns) added before and after;
    batch norm (`norm`) is part of a convolution, an activation is a node of its own."""

    name: str
    op: NodeOp
    inputs: tuple[str, ...] = ()
    shape: Shape
    kernel: int = 1
    stride: int = 1
    pads: tuple[int, int] = (0, 0)
    act: str | None = None
    norm: bool = False
    bias: bool = False


class Graph(Frozen):
    """Nodes in execution order; the first is the input, the last the logits."""

    nodes: tuple[Node, ...]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_order((n.name, n.op, n.inputs) for n in self.nodes)
        return self

    @property
    def input(self) -> Node:
        """The image, (C, H, W)."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The logits, (classes, 1, 1)."""
        return self.nodes[-1]

    def by_name(self) -> dict[str, Node]:
        """Every node under its name."""
        return {node.name: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, in execution order."""
        readers: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers


def check_order(nodes: Iterable[tuple[str, str, tuple[str, ...]]]) -> None:
    """Raise `ValueError` unless names (of name, op, inputs) are unique, the first node and no other
    is the input, and every node reads only what stands before it."""
    made: set[str] = set()
    for name, op, inputs in nodes:
        if name in made:
            raise ValueError(f"two nodes are called {name}")
        if (op == INPUT) != (not made) or (op == INPUT) != (not inputs):
            raise ValueError(f"{name}: the first node is the input, and only that")
        missing = [i for i in inputs if i not in made]
        if missing:
            raise ValueError(f"{name} reads {missing[0]}, which is not made before it")
        made.add(name)
    if not made:
        raise ValueError("a graph without nodes")


def weight_shape(node: Node, cin: int) -> tuple[int, int, int, int]:
    """(cout, cin per group, kernel, kernel) of a weighted node that reads `cin` channels."""
    fan = 1 if node.op == "dwconv" else cin
    return node.shape[0], fan, node.kernel, node.kernel


def same_pads(size: int, out: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding of a window op. An odd kernel k pads k // 2 on both sides (as PyTorch writes it); an
    even one (k - 1) // 2 before and after as much as the last window needs."""
    if kernel % 2:
        return kernel // 2, kernel // 2
    before = (kernel - 1) // 2
    return before, max(0, (out - 1) * stride + kernel - size - before)


def lower(subnet: Subnet) -> Graph:
    """The graph of a model. Dropout is left out: it does nothing at inference. Raises
    `BindError`."""
    return Graph(nodes=tuple(_built(subnet).nodes))


def layer_nodes(subnet: Subnet) -> tuple[tuple[Layer, tuple[str, ...]], ...]:
    """Every layer of a model with the names of the nodes it becomes, the input apart. Raises
    `BindError`."""
    return tuple(_built(subnet).owners)


def _built(subnet: Subnet) -> _Builder:
    size, channels = subnet.resolution, subnet.of.channels
    build = _Builder()
    tensor = build.put(Node(name=INPUT, op="input", shape=(channels, size, size)))
    for stage, sites in zip(subnet.of.stages, subnet_sites(subnet), strict=True):
        for i, site in enumerate(sites):
            build.enter(f"{stage.name}.{i}")
            tensor = build.body(site.bind(), tensor)
    return build


@dataclass(slots=True)
class _Builder:
    """Nodes so far and of which layers they are, the block being lowered and how many ops of each
    kind it has."""

    nodes: list[Node] = field(default_factory=list)
    owners: list[tuple[Layer, tuple[str, ...]]] = field(default_factory=list)
    block: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def enter(self, block: str) -> None:
        self.block, self.counts = block, {}

    def put(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def name(self, kind: str) -> str:
        index = self.counts.get(kind, 0)
        self.counts[kind] = index + 1
        return f"{self.block}.{kind}{index}"

    def body(self, bound: Iterable[Bound], tensor: str) -> str:
        for item in bound:
            if isinstance(item, Residual):
                tensor = self.residual(item, tensor)
                continue
            start = len(self.nodes)
            tensor = self.layer(item, tensor)
            self.own(item, start)
        return tensor

    def own(self, layer: Layer, start: int) -> None:
        self.owners.append((layer, tuple(node.name for node in self.nodes[start:])))

    def residual(self, item: Residual, tensor: str) -> str:
        main = self.body(item.main, tensor)
        shortcut = self.body(item.shortcut, tensor)
        layer, start = item.add, len(self.nodes)
        shape = (layer.cout, layer.out_size, layer.out_size)
        name = self.put(Node(name=self.name("add"), op="add", inputs=(main, shortcut), shape=shape))
        tensor = self.act(layer.act, name, shape)
        self.own(layer, start)
        return tensor

    def layer(self, layer: Layer, tensor: str) -> str:
        shape = (layer.cout, layer.out_size, layer.out_size)
        match layer.kind:
            case "dropout":
                return tensor
            case "se":
                return self.squeeze(layer, tensor)
            case "act":
                return self.act(layer.act, tensor, shape, self.name("act"))
            case "pool" | "maxpool" | "avgpool" | "conv" | "dwconv" | "linear" | "add" as op:
                pads = (0, 0)
                if op not in ("pool", "linear"):
                    pads = same_pads(layer.size, layer.out_size, layer.kernel, layer.stride)
                node = Node(
                    name=self.name(op),
                    op=op,
                    inputs=(tensor,),
                    shape=shape,
                    kernel=layer.kernel,
                    stride=layer.stride,
                    pads=pads,
                    norm=layer.norm,
                    bias=layer.bias,
                )
                return self.act(layer.act, self.put(node), shape)

    def squeeze(self, layer: Layer, tensor: str) -> str:
        """SE: pool, conv1x1 + act, conv1x1 + gate, multiply."""
        se, cin = self.name("se"), layer.cin
        pool = Node(
            name=f"{se}.pool", op="pool", inputs=(tensor,), shape=(cin, 1, 1), kernel=layer.size
        )
        gate = self.put(pool)
        for part, width, act in (
            ("squeeze", layer.squeeze, layer.act),
            ("excite", cin, layer.gate),
        ):
            shape = (width, 1, 1)
            conv = Node(name=f"{se}.{part}", op="conv", inputs=(gate,), shape=shape, bias=True)
            gate = self.act(act, self.put(conv), shape)
        shape = (cin, layer.out_size, layer.out_size)
        return self.put(Node(name=f"{se}.mul", op="mul", inputs=(tensor, gate), shape=shape))

    def act(self, act: str | None, tensor: str, shape: Shape, name: str | None = None) -> str:
        if act is None:
            return tensor
        node = Node(
            name=name or f"{tensor}.{act}", op="act", inputs=(tensor,), shape=shape, act=act
        )
        return self.put(node)
