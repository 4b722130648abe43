"""Check that the blocks of a space fit where they stand, by binding them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from spacedsl.ir.block import op_sizes
from spacedsl.ir.expr import Binary, Expr, Num, Ref, Round8
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.lang.misfits import NotStrided, Shrinking, report_misfit
from spacedsl.lang.report import Report
from spacedsl.lang.scope import Scope
from spacedsl.passes.bind import BindError, Site, output_size
from spacedsl.syntax.tree import Node

MAX_SITES = 200_000
"""Different blocks of a stage: what exact passes over a space have to visit."""


MAX_CHECKS = 12_000
"""Blocks of a page and of what it uses that are bound to see if they fit: about half a second."""


def check_bodies(space: Space, node: Node, report: Report, scope: Scope) -> None:
    """Bind every block at the extremes of what may come in and go out of its stage. What fits at
    the largest resolution fits at every other: there, fewer sizes are equal by being 1."""
    nodes = {n.token("NAME").text: n for n in node.all("stage")}
    before: tuple[int, ...] = (space.channels,)
    size, budget = space.resolutions[-1], scope.budget
    if budget.checks <= MAX_CHECKS:  # else it is known already, and counting takes time too
        budget.checks += _count_checks(space)
    if budget.checks > MAX_CHECKS:
        message = f"{budget.checks:,} blocks to check, more than {MAX_CHECKS:,}"
        help = "a width that may be a fraction is checked at every value: use round8(...)"
        raise report.fail("too-large", message, node.token("NAME"), help)
    for stage in space.stages:
        sites = _count_sites(stage, before)
        if sites > MAX_SITES:
            message = f"stage `{stage.name}`: {sites:,} different blocks, more than {MAX_SITES:,}"
            raise report.fail("too-large", message, nodes[stage.name].token("NAME"))
        try:
            size = _check_stage(stage, before, size)
        except BindError as error:
            report_misfit(error, stage, node, report, scope)
            report.raise_if_any()
        before = stage.widths or before


def _count_sites(stage: Stage, before: tuple[int, ...]) -> int:
    """Pairs of widths in and out, with every setting."""
    pairs = len({*before, *stage.widths}) * max(1, len(stage.widths))
    return pairs * sum(prod(len(a.values) for a in c.numeric) for c in stage.choices)


def _count_checks(space: Space) -> int:
    """How many blocks `_check_stage` binds, over all stages."""
    before: tuple[int, ...] = (space.channels,)
    count = 0
    for stage in space.stages:
        for choice in stage.choices:
            own = [stage.widths or (0,), *_numeric(choice)]
            firsts = (before, stage.widths or before)[: 2 if stage.depths[-1] > 1 else 1]
            count += sum(_sampled([cins, *own], choice) for cins in firsts)
        before = stage.widths or before
    return count


def _sampled(lists: list[tuple[Any, ...]], choice: BlockChoice) -> int:
    """How many samples these lists have."""
    sizes = [len(values) for values in lists]
    if not _is_whole(choice):
        return prod(sizes)
    return prod(min(size, 2) for size in sizes) + sum(max(size - 2, 0) for size in sizes)


def _check_stage(stage: Stage, before: tuple[int, ...], size: int) -> int:
    """Output height in pixels. Raises `BindError`."""
    out = _check_blocks(stage, before, size, stage.stride)
    if stage.depths[-1] > 1:
        after = _check_blocks(stage, stage.widths or before, out, 1)
        if after != out:
            raise Shrinking(f"blocks after the first change the size too: {size}, {out}, {after}")
    return out


def _check_blocks(stage: Stage, cins: tuple[int, ...], size: int, stride: int) -> int:
    """Bind one block in every sampled way; they must all come out at the same size."""
    sizes: set[int] = set()
    for choice in stage.choices:
        names = [a.name for a in choice.numeric]
        lists = [cins, stage.widths or (0,), *_numeric(choice)]
        for cin, width, *values in _samples(lists) if _is_whole(choice) else product(*lists):
            settings = tuple(zip(names, values, strict=True))
            site = Site(choice, cin, width, size, stride, settings)
            out = output_size(site)
            if stride > 1 and size > 1 and out == output_size(replace(site, stride=1)):
                name = choice.block.name or "the body"
                raise NotStrided(f"no op of {name} is `strided`, but the stride is {stride}")
            sizes.add(out)
    if len(sizes) > 1:
        raise BindError(f"blocks come out at different sizes: {_sizes(sizes)}")
    return sizes.pop()


def _is_whole(choice: BlockChoice) -> bool:
    """Whether sizes are whole positive numbers at every value, so that samples tell for all."""
    ops = inlined(choice.block)
    fractions = {a.name for a in choice.numeric if any(v != int(v) or v < 1 for v in a.values)}
    return all(_expr_is_whole(expr, fractions) for expr in op_sizes(ops))


def _expr_is_whole(expr: Expr, fractions: set[str]) -> bool:
    match expr:
        case Num():
            return float(expr.value).is_integer()
        case Ref():
            return expr.name not in fractions
        case Binary():
            sides = _expr_is_whole(expr.left, fractions), _expr_is_whole(expr.right, fractions)
            return expr.op in "+*" and all(sides)
        case Round8():
            return True


def _numeric(choice: BlockChoice) -> list[tuple[Any, ...]]:
    return [arg.values for arg in choice.numeric]


def _sizes(sizes: set[int]) -> str:
    return " and ".join(f"{s} x {s}" for s in sorted(sizes))


def _samples(lists: list[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """Every combination of ends, and every value between them once."""
    yield from product(*(dict.fromkeys((values[0], values[-1])) for values in lists))
    for i, values in enumerate(lists):
        for value in values[1:-1]:
            yield tuple(value if j == i else other[0] for j, other in enumerate(lists))
