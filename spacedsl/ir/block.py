"""A block: parameters and a body of operators. Everything else is derived from these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from spacedsl.ir.expr import Expr, Frozen, Num, Ref
from spacedsl.operators.size import Pair, Size

MAX_KERNEL = 31
"""The largest window of a convolution or a pool."""

Value = int | float | str | Pair
"""A choice: a number (kernel, expand, ...), a pair of them (a kernel `10x4`) or the name of an
activation."""

Stride = Size | Literal["stage"]
"""A fixed stride, or `"stage"`: the stride of the stage, on its first block only."""

COUT = Ref(name="cout")
ONE = Num(value=1)

Reparam = Annotated[int, Field(exclude_if=lambda count: count == 0)]
"""As how many convolutions of its own kernel a convolution is trained, each with batch norm, beside
one of 1x1 and the input itself; 0 where it is trained as the one that it is. Where it is not 0 the
one has a bias and no norm, whatever `norm` and `bias` say."""

CHANNELS = ("width", "squeeze", "groups")
"""The fields of ops that say by an expression how many channels there are, or groups of them."""

SIZES = ("kernel", "dilation", *CHANNELS)
"""The fields of ops that are expressions."""

ACTS = ("act", "gate")
"""The fields of ops that are activations."""

Once = Annotated[Expr, Field(exclude_if=lambda size: size == ONE)]
"""A size that identities know only where it is not 1, since pages had none before."""

Seldom = Annotated[bool, Field(exclude_if=lambda said: not said)]
"""A flag that identities know only where it is set."""


class Conv(Frozen):
    """Convolution, "same" padding unless `valid`, batch norm unless `norm` is false. `act` is an
    activation or a block parameter that holds one. `elide`: left out where it keeps both width and
    size. `groups`: how many groups the channels are in. Each filter reads those of its own group
    only. `dilation`: how many pixels apart the taps of its window are."""

    op: Literal["conv"] = "conv"
    kernel: Expr
    width: Expr = COUT
    act: str | None = None
    stride: Stride = 1
    norm: bool = True
    bias: bool = False
    elide: bool = False
    groups: Once = ONE
    dilation: Once = ONE
    valid: Seldom = False
    reparam: Reparam = 0


class DwConv(Frozen):
    """Depthwise convolution. `stacked`: k x k as (k - 1) / 2 convolutions 3 x 3, the first with
    the stride, norm and activation after the last only. `elide`: left out where it keeps the
    size. `ones`: its weights are 1 and are not trained, so that it is a batch norm alone."""

    op: Literal["dwconv"] = "dwconv"
    kernel: Expr
    act: str | None = None
    stride: Stride = 1
    norm: bool = True
    bias: bool = False
    stacked: bool = False
    elide: Seldom = False
    dilation: Once = ONE
    valid: Seldom = False
    reparam: Reparam = 0
    ones: Seldom = False


class Se(Frozen):
    """Squeeze and excitation: global pool, conv1x1 to `squeeze` + act, conv1x1 back + gate,
    multiply. Its convolutions have a bias and no norm."""

    op: Literal["se"] = "se"
    squeeze: Expr
    act: str = "relu"
    gate: str = "hsigmoid"


class Pool(Frozen):
    """Max or average pooling, "same" padding unless `valid`. `elide`: left out where it has no
    stride."""

    op: Literal["maxpool", "avgpool"]
    kernel: Expr
    stride: Stride = 1
    elide: bool = False
    valid: Seldom = False


class SpaceToDepth(Frozen):
    """Every `block` x `block` pixels become one, with the channels of all of them: row in the
    block, column, channel."""

    op: Literal["space-to-depth"] = "space-to-depth"
    block: int


class GlobalPool(Frozen):
    """Global average pool to 1 x 1."""

    op: Literal["pool"] = "pool"


class Linear(Frozen):
    """The classifier. `classes` is the page's default; the data decides, so it is not hashed."""

    op: Literal["linear"] = "linear"
    classes: int


class Dropout(Frozen):
    op: Literal["dropout"] = "dropout"
    rate: float


class Shortcut(Frozen):
    """Adds the body's input to its output. `identity`: only where width and size are kept.
    `body`: the ops of the second path (each left out where it elides). `act` follows the add."""

    op: Literal["shortcut"] = "shortcut"
    kind: Literal["identity", "body"]
    body: tuple[Op, ...] = ()
    act: str | None = None


class Optional(Frozen):
    """Ops that are there where parameter `param` is `when`, and left out where it is not. In a page
    those that are there where it is 0 stand behind `else`."""

    op: Literal["optional"] = "optional"
    param: str
    body: tuple[Op, ...]
    when: Annotated[Literal[0, 1], Field(exclude_if=lambda when: when == 1)] = 1

    def is_there(self, value: object) -> bool:
        """Whether its ops are there where the parameter has this value."""
        return (value != 0) == (self.when == 1)


class Join(Frozen):
    """Bodies side by side. Each reads what the op reads, or with `split` its part of it: the
    channels in as many equal parts as there are bodies. An empty one is the identity. What they
    make is joined: `concat` puts their channels one behind the other, `sum` adds them. `act`
    follows."""

    op: Literal["concat", "sum"]
    branches: tuple[tuple[Op, ...], ...]
    split: bool = False
    act: str | None = None


class Shuffle(Frozen):
    """The channels in another order: of the `groups` groups that they are in, the first of each,
    then the second of each, and so on."""

    op: Literal["shuffle"] = "shuffle"
    groups: Expr


class Lateral(Frozen):
    """The convolution 1x1 of a pyramid's level, with batch norm. It stands beside the path: what
    comes in goes on, and what it makes waits for the pyramid. No page says it: `taps` makes it."""

    op: Literal["lateral"] = "lateral"
    width: Expr


class Pyramid(Frozen):
    """From the coarsest level to the finest: what waits is added to the sum before it, which is
    upsampled by the next of `steps`; a convolution 3x3 with batch norm makes each level's output.
    No page says it: `taps` makes it."""

    op: Literal["pyramid"] = "pyramid"
    width: Expr
    steps: tuple[Size, ...] = ()


Op = Annotated[
    Conv
    | DwConv
    | Se
    | Pool
    | SpaceToDepth
    | GlobalPool
    | Linear
    | Dropout
    | Shortcut
    | Optional
    | Join
    | Shuffle
    | Lateral
    | Pyramid,
    Field(discriminator="op"),
]

WINDOWED: dict[str, type[Conv | DwConv | Pool]] = {
    "conv": Conv,
    "dwconv": DwConv,
    "maxpool": Pool,
    "avgpool": Pool,
}
"""Word -> op, of those with a kernel."""

Shortcut.model_rebuild()
Optional.model_rebuild()
Join.model_rebuild()

PROJECTION = (Conv(kernel=ONE, stride="stage", elide=True),)
"""The body of `shortcut projected`: conv1x1 with the stage's stride where width or size change."""


class Let(Frozen):
    name: str
    value: Expr


class Param(Frozen):
    name: str
    default: Value | None = None


class Block(Frozen):
    """A block definition. `name` is "" for a body written inside a stage; `source` is the `use`
    path it came by, "" where the page itself defines it. Neither is part of its identity."""

    name: str = ""
    source: str = ""
    params: tuple[Param, ...] = ()
    lets: tuple[Let, ...] = ()
    ops: tuple[Op, ...] = ()


def bodies(op: Op) -> tuple[tuple[Op, ...], ...]:
    """The bodies inside an op, in order."""
    match op.op:  # words are compared faster than classes
        case "shortcut" | "optional":
            return (op.body,)
        case "concat" | "sum":
            return op.branches
        case _:
            return ()


def with_bodies(op: Op, change: Callable[[tuple[Op, ...]], tuple[Op, ...]]) -> Op:
    """An op with each of the bodies inside it changed."""
    match op:
        case Shortcut() | Optional():
            return op.model_copy(update={"body": change(op.body)})
        case Join():
            return op.model_copy(update={"branches": tuple(map(change, op.branches))})
        case _:
            return op


def walk(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Every op, those inside other ops included, in order."""
    for op in ops:
        yield op
        for body in bodies(op):
            yield from walk(body)


def count(op: Op) -> int:
    """How many ops an op is, those inside it included."""
    return 1 + sum(count(inner) for body in bodies(op) for inner in body)


def sizes_of(op: Op, fields: Iterable[str] = SIZES) -> Iterator[tuple[str, Expr]]:
    """The sizes that an op says, each with its field, in order."""
    for field in fields:
        if hasattr(op, field):
            yield field, getattr(op, field)


def op_sizes(ops: tuple[Op, ...]) -> Iterator[Expr]:
    """Every size that ops say, in order."""
    for op in walk(ops):
        for _, size in sizes_of(op):
            yield size


def op_acts(op: Op) -> Iterator[str]:
    """The activations of an op, or the block's parameters that hold them."""
    for field in ACTS:
        act = getattr(op, field, None)
        if act is not None:
            yield act
