"""From a network to its INT8 graph: one set of 8-bit tensors, operator rewrites included.

Every node makes one uint8 tensor with a quantiser of its own; there is no other tensor. So the
fake quantisers of training, the artifact's quantisers and the reference sit in the same places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from spacedsl.compiler.graph import (
    NO_OTHER_FIELD,
    WEIGHTED,
    Dilation,
    Graph,
    Groups,
    Node,
    Shape,
    Start,
    check_order,
    readers,
)
from spacedsl.diagnostics import fault
from spacedsl.ir.expr import Frozen
from spacedsl.operators.activation import Rewrite
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import words_where
from spacedsl.operators.size import Size
from spacedsl.operators.window import Pads
from spacedsl.runtimes.rules import Rules

QMAX = 255

OPS = (
    "input", "conv", "dwconv", "linear", "add", "shift", "mul", "pool", "maxpool", "avgpool",
    "concat", "slice", "shuffle", "space-to-depth", "upsample", *ACTIVATIONS, "dropout",
)  # fmt: skip
"""What a node does; an activation's word where it is an op of its own."""

if TYPE_CHECKING:
    Int8Op = str
else:
    Int8Op = Literal[OPS]

Clip = Literal["none", "relu", "relu6"]

OWN_SCALE = words_where(own_scale=True)
"""Ops whose integer kernel rescales, so that their quantiser can clip."""


SHARED = words_where(shares=True)
"""Ops whose quantiser is their input's."""


class Fixed(Frozen):
    """A quantiser that no data decides. The op rounds to multiples of `write`; readers multiply
    by `read`, which differs where a factor is folded in (hard-sigmoid's 1/6)."""

    write: float
    read: float
    zero_point: int = 0


CEILING = {"relu6": 6 / QMAX}
"""Clip -> the greatest scale of a quantiser that clips so."""

FIXED = {
    word: Fixed(**act.fixed._asdict()) for word, act in ACTIVATIONS.items() if act.fixed is not None
}
"""Activation -> the quantiser that it always has."""

GATE = FIXED["hsigmoid"]
GATE_OFFSET = ACTIVATIONS["hsigmoid"].offset
"""What a convolution's bias adds for hard-sigmoid."""

SHIFT = 3 + GATE.write / 8
"""What an op of its own adds for it. With 3 alone x = 0 gives 127.5 steps, and whoever rounds
decides; an eighth of a step settles it and costs no more than that."""

SIGMOID = FIXED["sigmoid"]

Like = Annotated[str, Field(exclude_if=lambda name: not name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Node:
    """One integer op and the uint8 tensor it makes.

    `value`: the network tensor it holds in 8 bits, "" where it holds none (the inner tensor of a
    rewrite). `source`: the network node whose weights it has. `clip`: with zero point 0 (and, for
    relu6, 255 times the scale at most 6) the quantiser itself is the activation. `offset` is added
    to the result: by the bias, or by the op `shift`, which does nothing else. `shared`: the
    quantiser is that of its inputs (max-pool, space-to-depth, upsample, dropout). `like` names the
    concat whose quantiser it has, "" where it has one of its own."""

    __pydantic_config__: ClassVar = NO_OTHER_FIELD

    name: str
    op: Int8Op
    inputs: tuple[str, ...] = ()
    shape: Shape
    kernel: Size = 1
    stride: Size = 1
    pads: Pads = (0, 0)
    value: str = ""
    source: str = ""
    clip: Clip = "none"
    offset: float = 0.0
    fixed: Fixed | None = None
    shared: bool = False
    like: Like = ""
    groups: Groups = 1
    dilation: Dilation = 1
    start: Start = 0


class Int8Graph(Frozen):
    """Nodes in execution order; the first quantises the image, the last makes the last
    output."""

    runtime: str
    nodes: tuple[Int8Node, ...]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_order((n.name, n.op, n.inputs) for n in self.nodes)
        return self

    def by_name(self) -> dict[str, Int8Node]:
        """Every node under its name."""
        return {node.name: node for node in self.nodes}


def quantise_graph(graph: Graph, rules: Rules) -> Int8Graph:
    """The INT8 graph of a network under a runtime's rules. Raises `SpaceError` for an op that the
    runtime cannot run in 8 bits."""
    nodes = quantised(graph.nodes, rules.rewrite)
    return Int8Graph(runtime=rules.runtime, nodes=tuple(node for node, _ in nodes))


def quantised(
    nodes: Sequence[Node], rewrite: Callable[[str], Rewrite]
) -> Iterator[tuple[Int8Node, str]]:
    """The INT8 nodes of a network's, in execution order, each with the name of the network's node
    whose op it is; `rewrite` says how an activation is said."""
    build = _Builder(rewrite, readers(nodes))
    for node in nodes:
        build.lower(node)
    return ((node, build.origins[node.name]) for node in alike(build.nodes.values()))


@dataclass(slots=True)
class _Builder:
    """`made`: the INT8 tensor of each network tensor. `origins`: the network's node of each INT8
    node. `origin`: the one being lowered."""

    rewrite: Callable[[str], Rewrite]
    readers: dict[str, list[Node]]
    nodes: dict[str, Int8Node] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    origin: str = ""

    def put(self, node: Int8Node) -> str:
        self.nodes[node.name] = node
        self.origins.setdefault(node.name, self.origin)
        return node.name

    def lower(self, node: Node) -> None:
        self.origin = node.name
        if node.op == "act":
            self.made[node.name] = self.act(node)
            return
        self.made[node.name] = self.put(
            Int8Node(
                name=node.name,
                op=node.op,
                inputs=tuple(self.made[i] for i in node.inputs),
                shape=node.shape,
                kernel=node.kernel,
                stride=node.stride,
                pads=node.pads,
                value=node.name,
                source=node.name if node.op in WEIGHTED else "",
                shared=node.op in SHARED,
                groups=node.groups,
                dilation=node.dilation,
                start=node.start,
            )
        )

    def act(self, node: Node) -> str:
        if node.act is None:
            raise fault("bad-plan", f"{node.name} is an activation without a name")
        tensor = self.made[node.inputs[0]]
        match self.rewrite(node.act):
            case "saturate":
                return self.saturate(node, tensor, node.act)
            case "gate":
                return self.gate(node, tensor)
            case "table":
                return self.function(node.name, tensor, node, node.act, FIXED.get(node.act))
            case "function" | "float":
                return self.function(node.name, tensor, node, node.act)
            case "gated-product":
                return self.product(node, tensor, self.shift(f"{node.name}.gate", tensor, node))
            case "table-product":
                gate = ACTIVATIONS[node.act].gate
                made = self.function(f"{node.name}.gate", tensor, node, gate, FIXED[gate])
                return self.product(node, tensor, made)

    def absorbs(self, node: Node) -> bool:
        """May the op before `node` take it over? Only if nobody else reads that op's result, and
        its quantiser is still free."""
        before = self.nodes[self.made[node.inputs[0]]]
        plain = before.clip == "none" and before.fixed is None and before.op in OWN_SCALE
        return plain and len(self.readers[node.inputs[0]]) == 1

    def saturate(self, node: Node, tensor: str, act: str) -> str:
        before = self.nodes[tensor]
        if not self.absorbs(node):
            before = Int8Node(name=node.name, op="shift", inputs=(tensor,), shape=node.shape)
        if act in FIXED:
            return self.put(replace(before, fixed=FIXED[act], value=node.name))
        return self.put(
            replace(before, clip="relu6" if act == "relu6" else "relu", value=node.name)
        )

    def gate(self, node: Node, tensor: str) -> str:
        before = self.nodes[tensor]
        if self.absorbs(node) and before.op in WEIGHTED:
            return self.put(replace(before, fixed=GATE, offset=GATE_OFFSET, value=node.name))
        return self.shift(node.name, tensor, node)

    def shift(self, name: str, tensor: str, node: Node) -> str:
        made = Int8Node(
            name=name,
            op="shift",
            inputs=(tensor,),
            shape=node.shape,
            value=node.name if name == node.name else "",
            offset=SHIFT,
            fixed=GATE,
        )
        return self.put(made)

    def function(
        self, name: str, tensor: str, node: Node, act: str, fixed: Fixed | None = None
    ) -> str:
        made = Int8Node(
            name=name,
            op=act,
            inputs=(tensor,),
            shape=node.shape,
            value=node.name if name == node.name else "",
            fixed=fixed,
        )
        return self.put(made)

    def product(self, node: Node, tensor: str, gate: str) -> str:
        made = Int8Node(
            name=node.name, op="mul", inputs=(tensor, gate), shape=node.shape, value=node.name
        )
        return self.put(made)


def alike(nodes: Iterable[Int8Node]) -> list[Int8Node]:
    """The nodes, of which those that a concat reads have its quantiser where they can: then it only
    copies, and TFLite knows no other. A tensor that is read by several concats makes their
    quantisers one. A fixed quantiser, the image's, and one that clips otherwise than the others
    stay as they are: where they are not all the same, the concat takes such a tensor in its own
    steps."""
    found: dict[str, Int8Node] = {}
    owner: dict[str, str] = {}
    for each in nodes:
        makers = [found[name] for name in dict.fromkeys(owner[i] for i in each.inputs)]
        copies = each.op == "concat" and (len(makers) == 1 or _one_fixed(makers))
        node = replace(each, shared=True) if copies else each
        own = owner[node.inputs[0]] if node.shared else node.name
        owner[node.name], found[node.name] = own, node
        if node.op == "concat" and not node.shared:
            free = [m for m in makers if m.fixed is None and m.op != "input"]
            clips = {m.clip for m in free}
            clip: Clip = clips.pop() if len(clips) == 1 else "none"
            same = {m.name: m.like for m in free if m.clip == clip}
            merged = [like for like in same.values() if like]
            like = merged[0] if merged else node.name
            found[node.name] = replace(node, clip=clip, like=like if same else "")
            for name, maker in found.items():
                if name in same or maker.like in merged:
                    found[name] = replace(maker, like=like)
    return list(found.values())


def _one_fixed(nodes: Iterable[Int8Node]) -> bool:
    fixed = {node.fixed for node in nodes}
    return len(fixed) == 1 and None not in fixed
