"""A network as a graph of tensors: what a model's page says, op by op, all sizes known.

Each node makes one tensor, which has the node's name: `stage1.0.conv0`, `stage1.0.conv0.hswish`.
Nodes stand in execution order. One generic lowering of programs; no code per block."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from spacedsl.ir.expr import Frozen
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.operators import OPERATORS, words_where
from spacedsl.operators.size import Size, pair
from spacedsl.operators.window import Pads
from spacedsl.passes.bound import Beside, Concat, TopDown
from spacedsl.passes.program import Joined, Layer, Program, at_inference, program_of, se_layers
from spacedsl.passes.taps import places, tapped

INPUT, LOGITS = "input", "logits"
"""Names of the input, and of the output of a network with a head."""

NodeOp = Literal[
    "input",
    "conv",
    "dwconv",
    "linear",
    "act",
    "add",
    "mul",
    "pool",
    "maxpool",
    "avgpool",
    "space-to-depth",
    "concat",
    "slice",
    "shuffle",
    "upsample",
    "dropout",
]
"""`dropout` is in graphs that are trained only."""

WEIGHTED = words_where(weights=True, own_scale=True)
"""Ops with weights."""

NO_OTHER_FIELD = ConfigDict(extra="forbid")
"""Of nodes in files. Nodes are no models of pydantic, since training makes graphs all the time."""

Shape = tuple[int, int, int]
"""(channels, height, width) of one image's tensor."""


Groups = Annotated[int, Field(exclude_if=lambda groups: groups == 1)]
"""Groups of a convolution that is not depthwise, or of a shuffle; files say them where there are
several."""

Start = Annotated[int, Field(exclude_if=lambda start: start == 0)]
"""The first channel that a slice takes; files say it where it is not the first of all."""

Dilation = Annotated[Size, Field(exclude_if=lambda dilation: dilation == 1)]
"""Files say it where it is not 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One op and the tensor it makes. `kernel` is its window, the block of space-to-depth, or how
    many rows and columns upsample makes of one; batch norm (`norm`) is part of a convolution, an
    activation is a node of its own."""

    __pydantic_config__: ClassVar = NO_OTHER_FIELD

    name: str
    op: NodeOp
    inputs: tuple[str, ...] = ()
    shape: Shape
    kernel: Size = 1
    stride: Size = 1
    pads: Pads = (0, 0)
    act: str | None = None
    norm: bool = False
    bias: bool = False
    groups: Groups = 1
    dilation: Dilation = 1
    start: Start = 0


class Output(NamedTuple):
    """An output of a network: its name in files, and the node that makes it. Logits are
    (classes, 1, 1), and written without height and width; a map is written as it is."""

    name: str
    node: Node

    @property
    def is_map(self) -> bool:
        """Whether it is a tap."""
        return self.name != LOGITS

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, in files of NCHW."""
        return self.node.shape if self.is_map else self.node.shape[:1]


class Tap(Frozen):
    """An output of a network without a head: its name, and the tensor that it is."""

    name: str
    tensor: str


Taps = Annotated[tuple[Tap, ...], Field(exclude_if=lambda taps: not taps)]
"""Outputs in order; files say them where there are some."""


class Graph(Frozen):
    """Nodes in execution order; the first is the input, the last makes the last output: the logits,
    or the last of `taps` (of a pyramid the first)."""

    nodes: tuple[Node, ...]
    taps: Taps = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_order((n.name, n.op, n.inputs) for n in self.nodes)
        tensors = {node.name for node in self.nodes}
        for tap in self.taps:
            if tap.tensor not in tensors:
                raise ValueError(f"the output {tap.name} is {tap.tensor}, which no node makes")
        if len({tap.name for tap in self.taps}) != len(self.taps):
            raise ValueError("two outputs have one name")
        return self

    @property
    def input(self) -> Node:
        """The image, (C, H, W)."""
        return self.nodes[0]

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every output of the network, in order."""
        if not self.taps:
            return (Output(LOGITS, self.nodes[-1]),)
        nodes = self.by_name()
        return tuple(Output(tap.name, nodes[tap.tensor]) for tap in self.taps)

    def by_name(self) -> dict[str, Node]:
        """Every node under its name."""
        return {node.name: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, in execution order."""
        return readers(self.nodes)


def readers(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    """The nodes that read each tensor of a graph, in execution order."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found[node.name] = []
        for name in node.inputs:
            found[name].append(node)
    return found


def check_order(nodes: Iterable[tuple[str, str, tuple[str, ...]]]) -> None:
    """Raise `ValueError` unless names (of name, op, inputs) are unique, the first node and no other
    is the input, no node is dropout, and every node reads only what stands before it."""
    made: set[str] = set()
    for name, op, inputs in nodes:
        if op == "dropout":
            raise ValueError(f"{name}: dropout does nothing at inference")
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
    """(cout, cin per group, rows, columns) of a weighted node that reads `cin` channels."""
    fan = 1 if node.op == "dwconv" else cin // node.groups
    return node.shape[0], fan, *pair(node.kernel)


class Lowered(NamedTuple):
    """A node, the step of the program that it is of, and the layer that it runs: of an SE step, its
    convolutions are layers of their own. The input is of no step."""

    node: Node
    step: Layer
    layer: Layer


Lowering = Generator[Lowered, None, str]
"""Nodes in execution order, then the name of the tensor that is left."""


def lower(subnet: Subnet) -> Graph:
    """The graph of a model. Dropout is left out: it does nothing at inference. Raises
    `BindError`."""
    image = image_node((subnet.of.channels, *pair(subnet.resolution)))
    found = tuple(lowered(at_inference(program_of(subnet))))
    nodes = (image, *(each.node for each in found))
    ends = places((each.layer.at for each in found), tapped(subnet.of))
    taps = tuple(Tap(name=name, tensor=nodes[at].name) for name, at in ends.items())
    return Graph(nodes=nodes, taps=taps)


def layer_nodes(subnet: Subnet) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Every step of a model, dropout apart, with the names of the nodes it becomes. Raises
    `BindError`."""
    nodes = lowered(at_inference(program_of(subnet)))
    for _, same in groupby(nodes, lambda found: id(found.step)):
        found = tuple(same)
        yield found[0].step, tuple(each.node.name for each in found)


def image_node(shape: Shape) -> Node:
    """The input."""
    return Node(name=INPUT, op="input", shape=shape)


def lowered(program: Program, tensor: str = INPUT) -> Lowering:
    """The nodes of a program that reads `tensor`."""
    waiting: list[str] = []
    for step in program:
        if isinstance(step, Beside):
            waiting.append((yield from _op(step.conv, step.conv, tensor)))
        elif isinstance(step, TopDown):
            tensor = yield from _top_down(step, waiting)
        elif not isinstance(step, Layer):
            ends = yield from _ends(step, tensor)
            tensor = yield from _op(step.join, step.join, *ends)
        elif step.kind == "se":
            tensor = yield from _squeeze(step, tensor)
        elif step.kind == "act":
            tensor = yield from _act(step, step, tensor, step.name)
        else:
            tensor = yield from _op(step, step, tensor)
    return tensor


def _top_down(step: TopDown[Layer], waiting: list[str]) -> Lowering:
    """The nodes of a pyramid, from the coarsest level on."""
    total = out = ""
    for (*joins, conv), lateral in zip(step.levels, reversed(waiting), strict=True):
        if joins:
            up, add = joins
            larger = yield from _op(up, up, total)
            total = yield from _op(add, add, lateral, larger)
        else:
            total = lateral
        out = yield from _op(conv, conv, total)
    return out


def _ends(step: Joined, tensor: str) -> Generator[Lowered, None, tuple[str, ...]]:
    """The nodes of the paths of a step, then what they end in; a concat that is made with this one
    ends in several."""
    found: list[str] = []
    for branch in step.branches:
        last = branch[-1] if branch else None
        if isinstance(last, Concat) and last.join.part:
            before = yield from lowered(branch[:-1], tensor)
            found += yield from _ends(last, before)
        else:
            found.append((yield from lowered(branch, tensor)))
    return tuple(found)


def _op(step: Layer, layer: Layer, *inputs: str) -> Lowering:
    """The op of a layer, and its activation."""
    match layer.kind:
        case "se" | "act" as several:
            raise TypeError(f"{layer.name}: {several} is no op")
        case op:
            pass
    node = Node(
        name=layer.name,
        op=op,
        inputs=inputs,
        shape=_shape(layer),
        kernel=layer.kernel,
        stride=layer.stride,
        pads=layer.window.pads(layer.size) if OPERATORS[op].window else (0, 0),
        norm=layer.norm,
        bias=layer.bias,
        groups=layer.groups,
        dilation=layer.dilation,
        start=layer.start,
    )
    yield Lowered(node, step, layer)
    return (yield from _act(step, layer, node.name, f"{node.name}.{layer.act}"))


def _squeeze(step: Layer, tensor: str) -> Lowering:
    """SE: pool, conv1x1 + act, conv1x1 + gate, multiply."""
    name, shape = step.name, (step.cin, 1, 1)
    gate = f"{name}.pool"
    pool = Node(name=gate, op="pool", inputs=(tensor,), shape=shape, kernel=step.size)
    yield Lowered(pool, step, step)
    for conv in se_layers(step):
        gate = yield from _op(step, conv, gate)
    product = Node(name=f"{name}.mul", op="mul", inputs=(tensor, gate), shape=_shape(step))
    yield Lowered(product, step, step)
    return product.name


def _act(step: Layer, layer: Layer, tensor: str, name: str) -> Lowering:
    """A layer's activation of `tensor` as a node `name`, if it has one."""
    if layer.act is None:
        return tensor
    node = Node(name=name, op="act", inputs=(tensor,), shape=_shape(layer), act=layer.act)
    yield Lowered(node, step, layer)
    return name


def _shape(layer: Layer) -> Shape:
    return layer.cout, *pair(layer.out_size)
