"""Random blocks, hyperspaces, members of them and texts. All that is drawn here is valid."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul
from typing import Any, TypeVar

from hypothesis import strategies as st

from spacedsl.ir.block import (
    PROJECTION,
    Block,
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Join,
    Let,
    Linear,
    Op,
    Optional,
    Param,
    Pool,
    Se,
    Shortcut,
    Shuffle,
    SpaceToDepth,
    walk,
)
from spacedsl.ir.expr import Binary, Expr, Num, Ref, Round8
from spacedsl.ir.identity import block_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Arg, BlockChoice, Limit, Space, Stage, with_pyramid
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import Pair, Size, as_number, pair

T = TypeVar("T")
V = TypeVar("V", bound=Any)
ACTS = st.sampled_from(list(ACTIVATIONS))
WIDTHS = st.sampled_from([4, 8, 16, 20, 24, 32])
KERNELS = (1, 3, 5, 7)
WINDOWS: tuple[Size, ...] = (2, 3, Pair(1, 3), Pair(4, 3))
"""Kernels of convolutions that are not trained as sums."""

DILATIONS: st.SearchStrategy[Size] = st.sampled_from([1, 1, 2, Pair(2, 1)])
REPARAMS = st.sampled_from([0, 0, 1, 3])
EXPANDS = (0.25, 0.5, 1, 1.5, 2, 3)


def num(value: float | Pair) -> Num:
    return Num(value=value)


def ref(name: str) -> Ref:
    return Ref(name=name)


LAST = (Conv(kernel=num(1)), Conv(kernel=num(1), norm=False), Conv(kernel=num(1), reparam=2))
"""The convolution that goes back to the width of the stage."""


@st.composite
def middles(draw: st.DrawFn, expand: Expr) -> Expr:
    """A middle width: rounded, and not always said in the same way."""
    base = ref(draw(st.sampled_from(["cin", "cout"])))
    product = Binary(op="*", left=base, right=expand)
    if draw(st.booleans()):
        product = Binary(op="*", left=expand, right=base)
    if draw(st.booleans()):
        product = Binary(op=draw(st.sampled_from(["+", "-"])), left=product, right=num(2))
        if draw(st.booleans()):
            product = Binary(op="/", left=product, right=num(draw(st.sampled_from([1, 2, 0.5]))))
    return Round8(arg=product)


@st.composite
def blocks(draw: st.DrawFn, name: str) -> Block:
    """conv to a middle width, a k x k operator, SE, extras, conv back, a shortcut."""
    with_expand, with_act = draw(st.booleans()), draw(st.booleans())
    params = [Param(name="kernel")]
    act = draw(ACTS)
    if with_expand:
        params.append(Param(name="expand", default=draw(st.sampled_from([None, 2]))))
    if with_act:
        params.append(Param(name="act", default=draw(st.sampled_from([None, "relu"]))))
        act = "act"
    middle = draw(middles(ref("expand") if with_expand else num(draw(st.sampled_from(EXPANDS)))))
    lets: tuple[Let, ...] = ()
    if draw(st.booleans()):
        lets, middle = (Let(name="mid", value=middle),), ref("mid")
    full = draw(st.booleans())
    ops: list[Op] = []
    if not full or draw(st.booleans()):
        ops.append(Conv(kernel=num(1), width=middle, act=act, elide=draw(st.booleans())))
    if full:
        quarter = Binary(op="/", left=middle, right=num(4))  # widths are multiples of 4
        groups = draw(st.sampled_from([num(1), num(1), num(2), num(4), *([quarter] * len(ops))]))
        norm, reparam = draw(st.booleans()), draw(REPARAMS)
        ops.append(
            Conv(
                kernel=ref("kernel"),
                dilation=num(1 if reparam else draw(DILATIONS)),
                width=middle,
                act=act,
                stride="stage",
                norm=norm or reparam > 0,
                bias=not norm and not reparam,
                groups=groups,
                reparam=reparam,
            )
        )
    else:
        reparam = draw(REPARAMS)
        dilation = num(1 if reparam else draw(DILATIONS))
        kernel = ref("kernel")
        ops.append(
            DwConv(kernel=kernel, dilation=dilation, act=act, stride="stage", reparam=reparam)
        )
    if draw(st.booleans()):
        squeeze = Round8(arg=Binary(op="/", left=ref("cin"), right=num(4)))
        ops.append(Se(squeeze=squeeze, act=draw(ACTS), gate=draw(ACTS)))
    if draw(st.booleans()):
        params.append(Param(name="extra"))
        inner: list[Op] = [DwConv(kernel=num(3), act=act)]
        inner += [Shortcut(kind="identity")] if draw(st.booleans()) else []
        ops.append(Optional(param="extra", body=tuple(inner)))
    ops += draw(joins(act))
    ops.append(draw(st.sampled_from(LAST)))
    ops += draw(shortcuts(act))
    return Block(name=name, params=tuple(params), lets=lets, ops=tuple(ops))


def joins(act: str) -> st.SearchStrategy[list[Op]]:
    """Bodies side by side, as often as not, whose channels are multiples of four."""
    deep: tuple[Op, ...] = (DwConv(kernel=num(3), act=act),)
    wide: tuple[Op, ...] = (Conv(kernel=num(1), width=ref("cout"), act=act),)
    narrow: tuple[Op, ...] = (Conv(kernel=num(3), width=num(8)),)
    nested: tuple[Op, ...] = (*narrow, Join(op="concat", branches=((), deep)))
    half = Join(op="concat", branches=((), deep), split=True)
    found: list[list[Op]] = [
        [Join(op="concat", branches=((), deep))],
        [Join(op="concat", branches=(wide, nested), act=act)],
        [Join(op="sum", branches=((), deep)), Shuffle(groups=num(4))],
        [Join(op="sum", branches=(narrow, deep + narrow, narrow), act=act)],
        [half, Shuffle(groups=num(2))],
        [Join(op="concat", branches=((), (DwConv(kernel=num(1), act=act, ones=True),)))],
        [half, half],
    ]
    return st.one_of(st.just([]), st.sampled_from(found))


def shortcuts(act: str) -> st.SearchStrategy[list[Op]]:
    pooled: tuple[Op, ...] = (
        Pool(op="avgpool", kernel=num(2), stride="stage", elide=True),
        Conv(kernel=num(1), norm=False, elide=True),
    )
    return st.sampled_from(
        [
            [],
            [Shortcut(kind="identity")],
            [Shortcut(kind="body", body=PROJECTION)],
            [Shortcut(kind="body", body=PROJECTION, act=act)],
            [Shortcut(kind="body", body=pooled)],
        ]
    )


def subsets(values: Sequence[V], most: int) -> st.SearchStrategy[tuple[V, ...]]:
    """Some of `values`, ascending."""
    chosen = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)
    return chosen.map(lambda found: tuple(sorted(found, key=as_number)))


@st.composite
def choices(draw: st.DrawFn, block: Block, most: int) -> BlockChoice:
    summed = any(getattr(op, "reparam", 0) and op.kernel == ref("kernel") for op in walk(block.ops))  # type: ignore[union-attr]
    kernels = KERNELS if summed else draw(st.sampled_from([KERNELS, WINDOWS]))
    values: dict[str, Sequence[Any]] = {"kernel": kernels, "expand": EXPANDS, "extra": (0, 1)}
    args: list[Arg] = []
    for param in block.params:
        if param.name == "act":
            args.append(Arg(name="act", values=draw(subsets(list(ACTIVATIONS), min(most, 2)))))
        else:
            args.append(Arg(name=param.name, values=draw(subsets(values[param.name], most))))
    return BlockChoice(block=block, args=tuple(args))


@st.composite
def stages(draw: st.DrawFn, name: str, known: Sequence[Block], most: int, plain: bool) -> Stage:
    """`plain`: of strides that are numbers, which taps are named by."""
    picked = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
    drawn = [draw(choices(block, most)) for block in picked]
    offered = tuple({block_identity([*c.views][-1]): c for c in drawn}.values())
    widths = draw(subsets((4, 8, 16, 20, 24, 32), most + 1))
    traits = ["width", *dict.fromkeys(a.name for c in offered for a in c.chosen)]
    shared = draw(st.lists(st.sampled_from(traits), max_size=2, unique=True))
    return Stage(
        name=name,
        elastic=True,
        choices=offered,
        widths=tuple(int(w) for w in widths),
        window=draw(st.integers(1, len(widths))),
        depths=tuple(int(d) for d in draw(subsets((1, 2, 3), most))),
        stride=draw(st.sampled_from([1, 2] if plain else [1, 2, Pair(1, 2)])),
        shared=tuple(sorted(shared)),
    )


STEMS: tuple[tuple[Op, ...], ...] = (
    (Conv(kernel=num(3), act="relu", stride="stage"),),
    (Conv(kernel=num(4), act="relu", stride="stage", valid=True),),
    (SpaceToDepth(block=2), Conv(kernel=num(Pair(3, 1)), act="relu", stride="stage")),
)


def stem(width: Sequence[int], ops: tuple[Op, ...] = STEMS[0]) -> Stage:
    body = Block(ops=ops)
    return Stage(
        name="stem",
        choices=(BlockChoice(block=body),),
        widths=tuple(width),
        window=len(width),
        stride=2,
    )


@st.composite
def growing(draw: st.DrawFn) -> list[Stage]:
    """A stage that adds channels to what comes in, as seldom as not; how many may be a setting."""
    cin = ref("cin")
    widths: list[tuple[Expr, Expr] | None] = [
        None,
        (Binary(op="+", left=cin, right=num(4)), Binary(op="-", left=ref("cout"), right=cin)),
        (Binary(op="*", left=cin, right=num(2)), Binary(op="-", left=ref("cout"), right=cin)),
        (Binary(op="+", left=cin, right=ref("side")), ref("side")),
    ]
    width = draw(st.sampled_from(widths))
    if width is None:
        return []
    growth, side = width
    path = (Conv(kernel=num(1), width=side, act="relu"), DwConv(kernel=ref("kernel")))
    args = {"kernel": (1, 3)} | ({"side": (4, 12)} if side == ref("side") else {})
    block = Block(
        name="grow",
        params=tuple(Param(name=name) for name in args),
        ops=(Join(op="concat", branches=((), path)),),
    )
    chosen = tuple(Arg(name=n, values=draw(subsets(values, 2))) for n, values in args.items())
    stage = Stage(
        name="grown",
        choices=(BlockChoice(block=block, args=chosen),),
        growth=growth,
        depths=tuple(int(d) for d in draw(subsets((1, 2, 3), 2))),
        shared=draw(st.sampled_from([(), tuple(args)[-1:]])),
    )
    return [stage]


def head() -> Stage:
    body = Block(
        ops=(
            Conv(kernel=num(1), width=num(64), act="hswish"),
            GlobalPool(),
            Dropout(rate=0.2),
            Linear(classes=10),
        )
    )
    return Stage(name="head", choices=(BlockChoice(block=body),))


@st.composite
def hyperspaces(draw: st.DrawFn, elastic: int = 3, most: int = 3) -> Space:
    """`most` bounds the values per parameter; small ones can be enumerated. Some have taps in place
    of a head, and some of these a pyramid."""
    known = [draw(blocks(f"block-{i}")) for i in range(draw(st.integers(1, 3)))]
    count = draw(st.integers(1, elastic))
    tapped = draw(st.booleans())
    sides: tuple[Size, ...] = (24, 32, 40) if tapped else (24, 32, 40, Pair(24, 40))
    resolutions = draw(subsets(sides, most))
    stem_widths = [8, 16][: draw(st.integers(1, most))]
    first = (
        stem(stem_widths, STEMS[0] if tapped else draw(st.sampled_from(STEMS))),
        *draw(growing()),
    )
    body = (*first, *(draw(stages(f"stage{i + 1}", known, most, tapped)) for i in range(count)))
    strides = list(accumulate((stage.stride for stage in body), mul)) if tapped else []
    found = Space(
        kind="hyperspace",
        name="hyper",
        resolutions=resolutions,
        quality=draw(st.sampled_from([None, "onnxw"])),
        limit=draw(
            st.sampled_from(
                [None, Limit(flops=10**14), Limit(flops=10**15, params=10**12, memory=10**12)]
            )
        ),
        taps=draw(taps_of(strides)) if tapped else (),
        stages=body if tapped else (*body, head()),
    )
    fits = tapped and all(pair(size)[0] % strides[-1] == 0 for size in resolutions)
    if not (fits and draw(st.booleans())):
        return found
    return with_pyramid(found, 12, {stride: i for i, stride in enumerate(strides)})


def taps_of(strides: Sequence[int]) -> st.SearchStrategy[tuple[int, ...]]:
    """Some strides, the last of them always."""
    others = st.sets(st.sampled_from(strides))
    return others.map(lambda some: tuple(sorted({*some, strides[-1]})))


def narrowed(space: Space, rng: random.Random) -> Space:
    """A random space of a hyperspace: one block type and window per stage, and often less."""

    def some(values: Iterable[T]) -> tuple[T, ...]:
        kept = [v for v in values if rng.random() < 0.8]
        return tuple(kept or [rng.choice(list(values))])

    def narrow(stage: Stage) -> Stage:
        choice = rng.choice(stage.choices)
        args = tuple(Arg(name=a.name, values=some(a.values)) for a in choice.args)
        widths = tuple(int(w) for w in some(rng.choice(stage.windows))) if stage.widths else ()
        return stage.model_copy(
            update={
                "choices": (choice.model_copy(update={"args": args}),),
                "widths": widths,
                "window": len(widths),
                "depths": tuple(int(d) for d in some(stage.depths)),
            }
        )

    return Space(
        kind="space",
        name="member",
        of=space,
        channels=space.channels,
        resolutions=some(space.resolutions),
        taps=space.taps,
        pyramid=space.pyramid,
        quality=space.quality,
        limit=space.limit,
        stages=tuple(narrow(stage) for stage in space.stages),
    )


RANDOMS = st.integers(0, 2**32).map(random.Random)


@st.composite
def members(draw: st.DrawFn, elastic: int = 3, most: int = 3) -> Space:
    return narrowed(draw(hyperspaces(elastic, most)), draw(RANDOMS))


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    space = draw(st.one_of(hyperspaces(), members()))
    return random_subnet(space, draw(RANDOMS), "net")
