"""spacedsl diff: what differs between two pages, by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit
from spacedsl.cli.words import amount, count
from spacedsl.diagnostics import fault
from spacedsl.ir.diff import Change, Side, diff_spaces, diff_subnets
from spacedsl.ir.identity import space_identity
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Item
from spacedsl.lang.values import shown
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity

if TYPE_CHECKING:
    from spacedsl.passes.extremes import Range


def diff(
    a: str = typer.Argument(..., help="A page."),
    b: str = typer.Argument(..., help="Another page of the same kind."),
    format: Format = FORMAT,
) -> None:
    """Compare two pages by meaning: stages, choices, and what follows from them. Exit 1 if they
    differ."""
    left, right = api.load(a), api.load(b)
    changes = _changes(left, right, a, b)
    hashes = (_hash(left), _hash(right))
    equal = hashes[0] == hashes[1]
    if format is Format.json:
        sides = [{"page": p, "hash": h} for p, h in zip((a, b), hashes, strict=True)]
        emit(
            {
                "equal": equal,
                "a": sides[0],
                "b": sides[1],
                "changes": [c.to_json() for c in changes],
            }
        )
    elif equal:
        print(f"{a} and {b} say the same ({hashes[0][:16]})")
    else:
        print(f"- {a}\n+ {b}")
        for line in _lines(changes):
            print(line)
        for name, mine, theirs in _effects(left, right):
            print(f"  {name:<8} {mine}  ->  {theirs}" if mine != theirs else f"  {name:<8} {mine}")
    if not equal:
        raise typer.Exit(DIFFERS)


def _changes(left: Item, right: Item, a: str, b: str) -> tuple[Change, ...]:
    if isinstance(left, Space) and isinstance(right, Space):
        return diff_spaces(left, right)
    if isinstance(left, Subnet) and isinstance(right, Subnet):
        return diff_subnets(left, right)
    raise fault("wrong-kind", f"{a} and {b} are not two spaces or two models")


def _hash(item: Item) -> str:
    if isinstance(item, Subnet):
        return subnet_identity(item)
    if isinstance(item, Space):
        return space_identity(item)
    raise TypeError(type(item))


def _lines(changes: tuple[Change, ...]) -> list[str]:
    lines: list[str] = []
    stage: str | None = None
    for change in changes:
        if change.stage and change.stage != stage:
            lines.append(f"  {change.stage}")
        stage = change.stage
        indent = "    " if change.stage else "  "
        lines.append(f"{indent}{change.key}: {_sides(change)}")
    return lines


def _sides(change: Change) -> str:
    """Before and after; where they overlap, what went and what came."""
    both = f"{_side(change.before)} -> {_side(change.after)}"
    kept = len(change.before or ()) - len(change.removed)
    if not kept or change.key.startswith("block "):
        return both
    parts = [
        f"{sign} {shown(values)}"
        for sign, values in (("-", change.removed), ("+", change.added))
        if values
    ]
    return f"{both}  ({'  '.join(parts)})"


def _side(side: Side) -> str:
    if not side:
        return "none"
    if any(isinstance(value, str) for value in side):
        return " ".join(map(str, side))
    return shown(side)


def _effects(left: Item, right: Item) -> list[tuple[str, str, str]]:
    if isinstance(left, Space) and isinstance(right, Space):
        from spacedsl.passes.extremes import cost_range

        mine, theirs = cost_range(left), cost_range(right)
        return [
            ("subnets", count(count_subnets(left)), count(count_subnets(right))),
            ("FLOPs", _range(mine.flops), _range(theirs.flops)),
            ("params", _range(mine.params), _range(theirs.params)),
        ]
    if isinstance(left, Subnet) and isinstance(right, Subnet):
        a, b = subnet_cost(left), subnet_cost(right)
        return [
            ("FLOPs", amount(a.flops), amount(b.flops)),
            ("params", amount(a.params), amount(b.params)),
        ]
    return []


def _range(range: Range) -> str:
    return f"{amount(range.least)} to {amount(range.greatest)}"
