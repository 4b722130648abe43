"""Sizes as pages say them. The blocks of one kind have numbers for their sizes; here these become
expressions that hold for all of the blocks, with the parameters that the expressions need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from spacedsl.ir.block import COUT, Block, Conv, Let, Linear, Op, Param, Shortcut, Shuffle, Value
from spacedsl.ir.expr import Binary, Expr, Num, Ref, Round8, evaluate, exact, round8
from spacedsl.ir.space import Arg, BlockChoice
from spacedsl.operators.size import Pair, Size

CIN = Ref(name="cin")
RATIOS = (0.25, 0.5, 1, 2, 3, 4, 6)
"""Usual ratios of an inner width, which are tried first."""

DIVISORS = (4, 16, 8, 2, 6, 12, 24)
"""How many times narrower squeezes usually are."""


class Row(NamedTuple):
    """One block: its widths, the ops of its main path and of its shortcut with numbers, and the
    activation that they have in common."""

    cin: int
    cout: int
    main: tuple[Op, ...]
    path: tuple[Op, ...]
    act: str | None


Column = tuple[int, ...]
"""One number for every block."""


def said_blocks(name: str, ops: tuple[Op, ...], rows: Sequence[Row]) -> list[BlockChoice]:
    """The block type with the body `ops`, whose sizes are replaced, and every row's choice of it. A
    body without `name` stands in a stage: it gets no parameters."""
    if not name:
        return [_plain(ops, row) for row in rows]
    table = _Table(rows)
    body = ops[-1].body if isinstance(ops[-1], Shortcut) else ()
    main = ops[:-1] if isinstance(ops[-1], Shortcut) else ops
    said = tuple(table.said(op, i) for i, op in enumerate(main))
    if len(said) < len(ops):
        path = tuple(table.path(op, i) for i, op in enumerate(body))
        said = (*said, ops[-1].model_copy(update={"body": path}))
    if any(getattr(op, "act", None) == "act" for op in main):
        table.values["act"] = [row.act or "" for row in rows]
    values = dict(sorted(table.values.items(), key=lambda item: _rank(item[0])))
    params = tuple(Param(name=param) for param in values)
    block = Block(name=name, params=params, lets=tuple(table.lets), ops=said)
    found = []
    for i in range(len(rows)):
        args = tuple(Arg(name=n, values=(v[i],)) for n, v in values.items())
        found.append(BlockChoice(block=block, args=args))
    return found


def _plain(ops: tuple[Op, ...], row: Row) -> BlockChoice:
    """A body in its stage: the stage's width is not said again."""
    if any(isinstance(op, Linear) for op in ops):
        return BlockChoice(block=Block(ops=ops))
    width = Num(value=row.cout)
    last = max((i for i, op in enumerate(ops) if getattr(op, "width", None) == width), default=-1)
    said = [op.model_copy(update={"width": COUT}) if i == last else op for i, op in enumerate(ops)]
    return BlockChoice(block=Block(ops=tuple(said)))


@dataclass(slots=True)
class _Table:
    """The parameters and bindings found so far, and the values that names have in every row."""

    rows: Sequence[Row]
    lets: list[Let] = field(default_factory=list)
    values: dict[str, list[Value]] = field(default_factory=dict)
    bound: dict[str, Column] = field(default_factory=dict)

    @property
    def cin(self) -> Column:
        return tuple(row.cin for row in self.rows)

    @property
    def cout(self) -> Column:
        return tuple(row.cout for row in self.rows)

    def said(self, op: Op, position: int) -> Op:
        """An op of the main path with expressions for its sizes."""
        new: dict[str, Expr] = {}
        if hasattr(op, "kernel"):
            new["kernel"] = self.kernel([_value(row.main[position].kernel) for row in self.rows])  # type: ignore[union-attr]
        for name, say in (
            ("width", self.width),
            ("squeeze", self.squeeze),
        ):
            if hasattr(op, name):
                new[name] = say(self.column(position, name))
        if isinstance(op, Conv | Shuffle):
            width = self.column(position, "width") if isinstance(op, Conv) else self.cout
            new["groups"] = self.groups(self.column(position, "groups"), width)
        return op.model_copy(update=new)

    def column(self, position: int, name: str) -> Column:
        """A size of an op of the main path."""
        return tuple(_number(getattr(row.main[position], name)) for row in self.rows)

    def path(self, op: Op, position: int) -> Op:
        """An op of the shortcut's path, which not every block has."""
        if not hasattr(op, "width"):
            return op
        there = [row for row in self.rows if row.path]
        same = all(_number(row.path[position].width) == row.cout for row in there)  # type: ignore[union-attr]
        return op.model_copy(update={"width": COUT}) if same else op

    def kernel(self, column: Sequence[Size]) -> Expr:
        if len(set(column)) == 1:
            return Num(value=column[0])
        return self.param("kernel", column)

    def width(self, column: Column) -> Expr:
        known = {"cout": self.cout, **self.bound}
        for name, values in known.items():
            if values == column:
                return Ref(name=name)
        name = "mid" if "mid" not in self.bound else f"mid{len(self.lets) + 1}"
        expand = "expand" if "expand" not in self.values else f"expand{len(self.lets) + 1}"
        ways = [(base, self.ratios(values, column)) for base, values in self.bases()]
        able = [(base, ratios) for base, ratios in ways if ratios is not None]
        if not able:
            return self.param("mid", column)
        base, ratios = min(able, key=lambda way: (_awkward(way[1]), len(set(way[1]))))
        self.values[expand] = list(ratios)
        product = Binary(op="*", left=Ref(name=base), right=Ref(name=expand))
        self.lets.append(Let(name=name, value=Round8(arg=product)))
        self.bound[name] = column
        return Ref(name=name)

    def bases(self) -> list[tuple[str, Column]]:
        return [("cin", self.cin), ("cout", self.cout)]

    def ratios(self, base: Column, column: Column) -> list[float] | None:
        """The ratio of every row by which `round8` leads from `base` to `column`."""
        found = [_ratio(b, c) for b, c in zip(base, column, strict=True)]
        return None if None in found else [ratio for ratio in found if ratio is not None]

    def squeeze(self, column: Column) -> Expr:
        bases = [*self.bound.items(), *self.bases()]
        for divisor in DIVISORS:
            for name, values in bases:
                part = Binary(op="/", left=Ref(name=name), right=Num(value=divisor))
                for expr in (Round8(arg=part), part):
                    if all(
                        evaluate(expr, {name: value}) == want
                        for value, want in zip(values, column, strict=True)
                    ):
                        return expr
        if len(set(column)) == 1:
            return Num(value=column[0])
        return self.param("squeeze", column)

    def groups(self, column: Column, width: Column) -> Expr:
        """The groups of a convolution: a number, or one group per so many channels, of its own
        width first."""
        if len(set(column)) == 1:
            return Num(value=column[0])
        bases = [("cout", self.cout), *self.bound.items(), ("cin", self.cin)]
        for name, values in sorted(bases, key=lambda base: base[1] != width):
            size = values[0] // column[0]
            if all(value == size * count for value, count in zip(values, column, strict=True)):
                base = Ref(name=name)
                return base if size == 1 else Binary(op="/", left=base, right=Num(value=size))
        return self.param("cardinality", column)

    def param(self, name: str, column: Sequence[Size]) -> Expr:
        """A parameter that is the number itself; one that has the same numbers serves again."""
        for known, values in self.values.items():
            if known.startswith(name) and values == list(column):
                return Ref(name=known)
        taken = {*self.values, *self.bound}
        free = name if name not in taken else f"{name}{len(taken) + 1}"
        self.values[free] = list(column)
        return Ref(name=free)


def _awkward(ratios: list[float]) -> int:
    """How many of these are no multiples of a quarter."""
    return sum(ratio * 4 != int(ratio * 4) for ratio in ratios)


def _rank(param: str) -> int:
    """Where a parameter stands among others."""
    order = ("kernel", "expand", "mid", "cardinality", "squeeze", "act")
    return next(i for i, name in enumerate(order) if param.startswith(name))


def _value(expr: Expr) -> Size:
    if not isinstance(expr, Num):
        raise TypeError(f"{expr} is no number")
    return expr.value if isinstance(expr.value, Pair) else int(expr.value)


def _number(expr: Expr) -> int:
    found = _value(expr)
    if isinstance(found, Pair):
        raise TypeError(f"{expr} is a pair")
    return found


def _ratio(base: int, result: int) -> float | None:
    """A short decimal by which `round8` leads from `base` to `result`."""
    for value in (*RATIOS, *(round(result / base, digits) for digits in range(4))):
        if value > 0 and round8(base * exact(value)) == result:
            return int(value) if value == int(value) else value
    return None
