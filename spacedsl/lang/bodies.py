"""Check that the blocks of a space fit where they stand, by binding them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import prod
from typing import Any, NamedTuple

from spacedsl.ir.block import (
    CHANNELS,
    ONE,
    GlobalPool,
    Join,
    Linear,
    Op,
    Optional,
    SpaceToDepth,
    Value,
    op_sizes,
    sizes_of,
    walk,
)
from spacedsl.ir.expr import Binary, Expr, Num, Ref, Round8, names_in
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.lang.growth import widths_behind
from spacedsl.lang.misfits import NotStrided, Shrinking, report_misfit
from spacedsl.lang.report import Report
from spacedsl.lang.scope import Scope
from spacedsl.operators.size import Pair, Size, as_map, pair
from spacedsl.passes.bind import Site, output_size
from spacedsl.passes.errors import BindError
from spacedsl.syntax.tree import Node

MAX_SITES = 200_000
"""Different blocks of a stage: what exact passes over a space have to visit."""


MAX_CHECKS = 12_000
"""Blocks of a page and of what it uses that are bound to see if they fit: about half a second."""

MANY = 3_000
"""Blocks that are bound together: fewer are bound one by one before numpy is loaded."""


def check_bodies(space: Space, node: Node, report: Report, scope: Scope) -> None:
    """Bind every block at the extremes of what may come in and go out of its stage."""
    for stage, after in pairwise(space.stages):
        if any(isinstance(op, Linear) for c in stage.choices for op in walk(c.block.ops)):
            message = f"stage `{after.name}` stands behind the classifier of `{stage.name}`"
            at = next((n for n in node.all("stage") if n.token("NAME").text == after.name), node)
            raise report.fail(
                "misplaced", message, at.token("NAME"), "write `linear` in the last stage"
            )
    before: tuple[int, ...] = (space.channels,)
    for stage in space.stages:
        try:
            before = widths_behind(stage, before)
        except BindError as error:
            report_misfit(error, stage, node, report, scope)
            report.raise_if_any()
    budget = scope.budget
    found: list[tuple[_Ways, ...]] = []
    sizes: tuple[Size, ...] = ()
    if budget.checks <= MAX_CHECKS:  # else it is known already, and counting takes time too
        found = [tuple(map(_ways, stage.choices)) for stage in space.stages]
        sizes = _checked(space.resolutions, found)
        budget.checks += _count_checks(space, found) * len(sizes)
    if budget.checks > MAX_CHECKS:
        message = f"{budget.checks:,} blocks to check, more than {MAX_CHECKS:,}"
        help = "a width that may be a fraction is checked at every value: use round8(...)"
        raise report.fail("too-large", message, node.token("NAME"), help)
    outputs = _together if budget.checks > MANY else _one_by_one
    for size in sizes:
        _check_at(size, space, found, outputs, (node, report, scope))


def _checked(resolutions: tuple[Size, ...], found: list[tuple[_Ways, ...]]) -> tuple[Size, ...]:
    """The resolutions at which blocks are bound. What fits at the largest one fits at every other:
    there, fewer sizes are equal by being 1. That is not so of pairs, and of ops that do not fit
    every map."""
    picky = any(way.picky for ways in found for way in ways)
    if picky or any(isinstance(size, Pair) for size in resolutions):
        return resolutions
    return resolutions[-1:]


def _check_at(
    size: Size,
    space: Space,
    found: list[tuple[_Ways, ...]],
    outputs: _Outputs,
    place: tuple[Node, Report, Scope],
) -> None:
    node, report, scope = place
    nodes = {n.token("NAME").text: n for n in node.all("stage")}
    before: tuple[int, ...] = (space.channels,)
    for stage, ways in zip(space.stages, found, strict=True):
        sites = _count_sites(stage, before)
        if sites > MAX_SITES:
            message = f"stage `{stage.name}`: {sites:,} different blocks, more than {MAX_SITES:,}"
            raise report.fail("too-large", message, nodes[stage.name].token("NAME"))
        try:
            size = _check_stage(stage, ways, before, size, outputs)
        except BindError as error:
            report_misfit(error, stage, node, report, scope)
            report.raise_if_any()
        before = stage.outs(before)


def _count_sites(stage: Stage, before: tuple[int, ...]) -> int:
    """Pairs of widths in and out, with every setting."""
    inner = len(stage.within(before)) if stage.growth else 0
    pairs = len({*before, *stage.widths}) * max(1, len(stage.widths)) + inner
    return pairs * sum(prod(len(a.values) for a in c.chosen) for c in stage.choices)


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways to choose a block. `samples`: do the ends of its values tell for all? `free`: the
    settings that no width depends on, so that each of their values is looked at once. `plain`: does
    no stride but the stage's change the size? `picky`: has it ops that do not fit every map?
    `strided`: does an op take the stage's stride, which need not show behind a pool?"""

    choice: BlockChoice
    names: tuple[str, ...]
    samples: bool
    free: frozenset[str]
    plain: bool
    picky: bool
    strided: bool

    def lists(self, cins: tuple[int, ...], widths: tuple[int, ...]) -> list[_Values]:
        """What may come in and go out, and what every setting may be."""
        settings = [
            _Values(arg.values, self._ends(arg.values, arg.name in self.free))
            for arg in self.choice.chosen
        ]
        both = (values or (0,) for values in (cins, widths))
        return [*(_Values(values, self._ends(values, False)) for values in both), *settings]

    def output(self, site: Site) -> set[Size]:
        """The one size of a block's output. Raises `BindError`."""
        out = output_size(site)
        sides = zip(pair(site.stride), pair(site.size), strict=True)
        shrinks = any(step > 1 and pixels > 1 for step, pixels in sides)
        if shrinks and out == self._unstrided(site) and not (self.strided and out == 1):
            name = self.choice.block.name or "the body"
            ops = walk(inlined(self.choice.block))
            switches = {op.param for op in ops if isinstance(op, Optional)} if self.strided else ()
            absent = [f"{param} is {value}" for param, value in site.settings if param in switches]
            where = f" where {' and '.join(absent)}" if absent else ""
            raise NotStrided(
                f"no op of {name} is `strided`{where}, but the stride is {site.stride}"
            )
        return {out}

    def _unstrided(self, site: Site) -> Size:
        """The size of the block's output if the stage had no stride."""
        return site.size if self.plain else output_size(replace(site, stride=1))

    def _ends(self, values: tuple[Any, ...], free: bool) -> tuple[Any, ...]:
        if not self.samples:
            return values
        return values[:1] if free else tuple(dict.fromkeys((values[0], values[-1])))


_Outputs = Callable[[Sequence[Site], Callable[[Site], set[Size]]], Iterable[set[Size]]]
"""The sizes that come out of blocks."""


class _Values(NamedTuple):
    """Values, and those of them of which every combination is looked at."""

    all: tuple[Any, ...]
    combined: tuple[Any, ...]


def _ways(choice: BlockChoice) -> _Ways:
    ops, names = inlined(choice.block), tuple(arg.name for arg in choice.chosen)
    decide: set[str] = set()
    for op in walk(ops):
        for _, size in sizes_of(op, CHANNELS):
            decide.update(names_in(size))
        if isinstance(op, Optional):
            decide.add(op.param)
    fractions = {a.name for a in choice.chosen if not all(map(_is_whole, a.values))}
    return _Ways(
        choice,
        names,
        all(_expr_is_whole(size, fractions) for size in op_sizes(ops))
        and not any(map(_divides, walk(ops))),
        frozenset(names) - decide,
        all(_is_plain(op) for op in walk(ops)),
        any(_is_picky(op) for op in walk(ops)),
        any(getattr(op, "stride", 1) == "stage" for op in walk(ops)),
    )


def _is_whole(value: Value) -> bool:
    return isinstance(value, Pair | str) or (int(value) == value and value >= 1)


def _divides(op: Op) -> bool:
    """Whether an op takes only widths that it can divide."""
    return getattr(op, "groups", ONE) != ONE or (isinstance(op, Join) and op.split)


def _is_plain(op: Op) -> bool:
    shrinks = isinstance(op, GlobalPool | Linear) or _is_picky(op)
    return getattr(op, "stride", 1) in ("stage", 1) and not shrinks


def _is_picky(op: Op) -> bool:
    return isinstance(op, SpaceToDepth) or getattr(op, "valid", False)


def _count_checks(space: Space, found: list[tuple[_Ways, ...]]) -> int:
    """How many blocks `_check_stage` binds, over all stages."""
    before: tuple[int, ...] = (space.channels,)
    count = 0
    for stage, ways in zip(space.stages, found, strict=True):
        firsts = [before, stage.within(before)] if stage.depths[-1] > 1 else [before]
        for way, cins in product(ways, firsts):
            lists = way.lists(cins, stage.widths)
            count += prod(len(values.combined) for values in lists)
            count += sum(len(values.all) - len(values.combined) for values in lists)
        before = stage.outs(before)
    return count


def _check_stage(
    stage: Stage,
    ways: tuple[_Ways, ...],
    before: tuple[int, ...],
    size: Size,
    outputs: _Outputs,
) -> Size:
    """The size of what comes out. Raises `BindError`."""
    out = _check_blocks(stage, ways, before, (size, stage.stride), outputs)
    if stage.depths[-1] > 1:
        after = _check_blocks(stage, ways, stage.within(before), (out, 1), outputs)
        if after != out:
            raise Shrinking(f"blocks after the first change the size too: {size}, {out}, {after}")
    return out


def _check_blocks(
    stage: Stage,
    ways: tuple[_Ways, ...],
    cins: tuple[int, ...],
    place: tuple[Size, Size],
    outputs: _Outputs,
) -> Size:
    """Bind one block in every sampled way, in its place: the size of its input, and its stride;
    all must come out at the same size."""
    sizes: set[Size] = set()
    for way in ways:
        sites = [
            Site(
                way.choice,
                cin,
                stage.width(cin, width, settings),
                *place,
                settings,
            )
            for cin, width, *values in _samples(way.lists(cins, stage.widths))
            for settings in [tuple(zip(way.names, values, strict=True))]
        ]
        sizes.update(*outputs(sites, way.output))
    if len(sizes) > 1:
        raise BindError(f"blocks come out at different sizes: {_sizes(sizes)}")
    return sizes.pop()


def _one_by_one(sites: Sequence[Site], output: Callable[[Site], set[Size]]) -> Iterable[set[Size]]:
    return map(output, sites)


def _together(sites: Sequence[Site], output: Callable[[Site], set[Size]]) -> Iterable[set[Size]]:
    from spacedsl.passes.together import together

    return (out for _, out in together(sites, output))


def _expr_is_whole(expr: Expr, fractions: set[str]) -> bool:
    match expr:
        case Num():
            return isinstance(expr.value, Pair) or float(expr.value).is_integer()
        case Ref():
            return expr.name not in fractions
        case Binary():
            sides = _expr_is_whole(expr.left, fractions), _expr_is_whole(expr.right, fractions)
            return expr.op in "+*" and all(sides)
        case Round8():
            return True


def _sizes(sizes: set[Size]) -> str:
    return " and ".join(map(as_map, sorted(sizes)))


def _samples(lists: list[_Values]) -> Iterator[tuple[Any, ...]]:
    """Every combination of what is combined, and every other value once."""
    yield from product(*(values.combined for values in lists))
    first = [values.all[0] for values in lists]
    for i, values in enumerate(lists):
        for value in values.all:
            if value not in values.combined:
                yield (*first[:i], value, *first[i + 1 :])
