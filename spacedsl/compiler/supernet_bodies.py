"""Block bodies for a plan: every derived width and kernel enumerated over what can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from spacedsl.compiler.supernet_schema import (
    Cin,
    Lookup,
    PlanBody,
    PlanConv,
    PlanDropout,
    PlanDwConv,
    PlanGlobalPool,
    PlanLinear,
    PlanOp,
    PlanOptional,
    PlanPool,
    PlanSe,
    PlanShortcut,
    Size,
)
from spacedsl.ir.block import (
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Linear,
    Op,
    Optional,
    Pool,
    Se,
    Shortcut,
    Stride,
    Value,
)
from spacedsl.ir.expr import EvaluationError, Expr, evaluate_size, exact, names_in
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import BlockChoice, Stage
from spacedsl.passes.bind import BindError

Row = dict[str, Value]
"""One way to choose a block: "cin", "cout" (where the stage has widths) and every setting."""


class Image(int):
    """The number of channels of the image, as a width: it equals the page's, and may change."""


def first_rows(stage: Stage, choice: BlockChoice, cins: Sequence[int]) -> list[Row]:
    """Every way to choose a stage's first block."""
    return [_row(stage, choice, values) for values in product(cins, *_lists(stage, choice))]


def rest_rows(stage: Stage, choice: BlockChoice, cins: Sequence[int]) -> list[Row]:
    """Every way to choose a later block: widths of one window, equal where they are shared."""
    rows = first_rows(stage, choice, stage.widths or cins)
    if not stage.widths:
        return rows
    reach = 1 if "width" in stage.shared else stage.window
    places = {width: i for i, width in enumerate(stage.widths)}
    return [r for r in rows if abs(places[_int(r["cin"])] - places[_int(r["cout"])]) < reach]


def _lists(stage: Stage, choice: BlockChoice) -> list[tuple[Value, ...]]:
    widths: list[tuple[Value, ...]] = [stage.widths] if stage.widths else []
    return [*widths, *(a.values for a in choice.numeric)]


def _row(stage: Stage, choice: BlockChoice, values: Sequence[Value]) -> Row:
    names = ["cin", *(["cout"] if stage.widths else []), *(a.name for a in choice.numeric)]
    return dict(zip(names, values, strict=True))


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def plan_body(choice: BlockChoice, rows: list[Row], stride: int) -> PlanBody:
    """The body of `choice` with `stride` in place. Raises `BindError` where some row has no whole
    width, or its paths end at different widths."""
    acts = {a.name: a.values[0] for a in choice.args if isinstance(a.values[0], str)}
    build = _Builder(rows, {k: str(v) for k, v in acts.items()}, stride)
    start = [_int(row["cin"]) for row in rows]
    try:
        ops, ends = build.body(inlined(choice.block), start)
    except EvaluationError as error:
        raise BindError(str(error)) from None
    classifier = any(isinstance(op, Linear) for op in choice.block.ops)
    for row, end in zip(rows, ends, strict=True):
        if not classifier and end != row.get("cout", row["cin"]):
            wanted = row.get("cout", row["cin"])
            raise BindError(f"{_said(row)}: the body ends at {end} channels instead of {wanted}")
    cins = tuple(sorted({int(width) for width in start}))
    return PlanBody(cin=cins, stride=stride, ops=ops)


def _said(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


Widths = list[int]
"""The width that runs through the body at one place, row by row."""


@dataclass
class _Builder:
    rows: list[Row]
    acts: dict[str, str]
    stride: int
    used: dict[str, int] = field(default_factory=dict)

    def slot(self, kind: str) -> str:
        index = self.used.get(kind, 0)
        self.used[kind] = index + 1
        return f"{kind}{index}"

    def act(self, name: str | None) -> str | None:
        return None if name is None else self.acts.get(name, name)

    def step(self, stride: Stride) -> int:
        return self.stride if stride == "stage" else int(stride)

    def size(self, expr: Expr) -> tuple[Size, list[int]]:
        """The size and its value in every row. Raises `EvaluationError`."""
        names = tuple(dict.fromkeys(names_in(expr)))
        missing = [n for n in names if n not in self.rows[0]]
        if missing:
            raise EvaluationError(f"`{missing[0]}` has no value here")
        keys = [tuple(row[n] for n in names) for row in self.rows]
        table: dict[tuple[Value, ...], int] = {}
        for key in dict.fromkeys(keys):
            numbers = {n: exact(_number(v)) for n, v in zip(names, key, strict=True)}
            table[key] = evaluate_size(expr, numbers)
        if not names:
            return table[()], [table[()]] * len(keys)
        ordered = sorted((tuple(_number(v) for v in key), size) for key, size in table.items())
        return Lookup(by=names, table=tuple(ordered)), [table[key] for key in keys]

    def body(self, ops: tuple[Op, ...], start: Widths) -> tuple[tuple[PlanOp, ...], Widths]:
        planned: list[PlanOp] = []
        widths = start
        for op in ops:
            if isinstance(op, Shortcut):
                planned.append(self.shortcut(op, start, widths))
            elif isinstance(op, Optional):
                inner, after = self.body(op.body, widths)
                planned.append(PlanOptional(param=op.param, body=inner))
                chosen = zip(self.rows, after, widths, strict=True)
                widths = [a if row[op.param] != 0 else w for row, a, w in chosen]
            else:
                one, widths = self.op(op, widths)
                planned += one
        return tuple(planned), widths

    def shortcut(self, op: Shortcut, start: Widths, widths: Widths) -> PlanShortcut:
        body: tuple[PlanOp, ...] = ()
        if op.kind == "body":
            body, ends = self.body(op.body, start)
            for row, end, width in zip(self.rows, ends, widths, strict=True):
                if end != width:
                    both = f"the shortcut ends at {end} channels, the main path at {width}"
                    raise BindError(f"{_said(row)}: {both}")
        return PlanShortcut(
            slot=self.slot("shortcut"), kind=op.kind, body=body, act=self.act(op.act)
        )

    def op(
        self, op: Conv | DwConv | Se | Pool | GlobalPool | Linear | Dropout, widths: Widths
    ) -> tuple[list[PlanOp], Widths]:
        match op:
            case Conv():
                return self.conv(op, widths)
            case DwConv():
                return [self.dwconv(op, widths)], widths
            case Se():
                squeeze, values = self.size(op.squeeze)
                planned = PlanSe(
                    slot=self.slot("se"),
                    squeeze=squeeze,
                    act=self.act(op.act),
                    gate=self.act(op.gate),
                    max_cin=_widest(widths),
                    max_squeeze=max(values),
                )
                return [planned], widths
            case Pool():
                kernel, _ = self.size(op.kernel)
                stride, slot = self.step(op.stride), self.slot(op.op)
                pool = PlanPool(op=op.op, slot=slot, kernel=kernel, stride=stride, elide=op.elide)
                return ([] if op.elide and stride == 1 else [pool]), widths
            case GlobalPool():
                return [PlanGlobalPool(slot=self.slot("pool"))], widths
            case Linear():
                linear = PlanLinear(slot=self.slot("linear"), max_cin=_widest(widths))
                return [linear], [op.classes] * len(widths)
            case Dropout():
                return [PlanDropout(rate=op.rate)], widths

    def conv(self, op: Conv, widths: Widths) -> tuple[list[PlanOp], Widths]:
        """Nothing where it is left out in every row."""
        slot = self.slot("conv")
        kernel, kernels = self.size(op.kernel)
        width, couts = self.size(op.width)
        _need_odd(kernels)
        stride = self.step(op.stride)
        gone = [op.elide and stride == 1 and w == c for w, c in zip(widths, couts, strict=True)]
        if all(gone):
            return [], widths
        kept = [i for i, elided in enumerate(gone) if not elided]
        planned = PlanConv(
            slot=slot,
            kernel=kernel,
            width=width,
            stride=stride,
            act=self.act(op.act),
            norm=op.norm,
            bias=op.bias,
            elide=op.elide,
            max_cin=_widest([widths[i] for i in kept]),
            max_cout=max(couts[i] for i in kept),
            max_kernel=max(kernels[i] for i in kept),
        )
        after = zip(gone, widths, couts, strict=True)
        return [planned], [w if elided else c for elided, w, c in after]

    def dwconv(self, op: DwConv, widths: Widths) -> PlanDwConv:
        kernel, kernels = self.size(op.kernel)
        _need_odd(kernels)
        if op.stacked and min(kernels) < 3:
            raise BindError(f"a stack of 3x3 needs a kernel of at least 3, not {min(kernels)}")
        return PlanDwConv(
            slot=self.slot("dwconv"),
            kernel=kernel,
            stride=self.step(op.stride),
            act=self.act(op.act),
            norm=op.norm,
            bias=op.bias,
            stacked=op.stacked,
            max_cin=_widest(widths),
            max_kernel=max(kernels),
        )


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        raise TypeError(value)
    return int(value) if isinstance(value, int) else value


def _need_odd(kernels: list[int]) -> None:
    for kernel in kernels:
        if kernel % 2 == 0:
            raise BindError(
                f'a {kernel}x{kernel} convolution has no "same" padding; use an odd kernel'
            )


def _widest(widths: Widths) -> Cin:
    if all(isinstance(width, Image) for width in widths):
        return "channels"
    return max(int(width) for width in widths)


def depends_on_channels(body: PlanBody) -> bool:
    """Whether any size follows from the input width, so that it must be the declared one."""
    return any(_reads_cin(op) for op in body.ops)


def _reads_cin(op: PlanOp) -> bool:
    if isinstance(op, PlanShortcut | PlanOptional):
        return any(_reads_cin(inner) for inner in op.body)
    sizes = [getattr(op, name, 0) for name in ("kernel", "width", "squeeze")]
    return any(isinstance(size, Lookup) and "cin" in size.by for size in sizes)
