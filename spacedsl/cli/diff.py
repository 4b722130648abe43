"""spacedsl diff: what differs between two pages, by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit
from spacedsl.cli.diff_costs import Effect, Pair, effects
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import fault
from spacedsl.ir.diff import Change, diff_spaces, diff_subnets
from spacedsl.ir.identity import space_identity
from spacedsl.ir.item import Item
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.changes import overlap, side, sides
from spacedsl.passes.network import subnet_identity

if TYPE_CHECKING:
    from spacedsl.report.parts import Report


def diff(
    a: str = typer.Argument(..., help="A page."),
    b: str = typer.Argument(..., help="Another page of the same kind."),
    targets: list[str] = typer.Option(
        [], "--target", help="Latency on this target; repeatable. Else on those of the hyperspace."
    ),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Compare two pages by meaning: stages, choices, and what follows from them (subnets, FLOPs,
    parameters, least and greatest latency). Exit 1 if they differ."""
    check_html(html, [a, b])
    pair = _pair(api.load(a), api.load(b), a, b)
    changes = _changes(pair)
    hashes = (_hash(pair[0]), _hash(pair[1]))
    equal = hashes[0] == hashes[1]
    found = () if equal else tuple(effects(pair, tuple(targets)))
    if format is Format.json:
        sides = [{"page": p, "hash": h} for p, h in zip((a, b), hashes, strict=True)]
        emit(
            {
                "equal": equal,
                "a": sides[0],
                "b": sides[1],
                "changes": [c.to_json() for c in changes],
                "effects": _effects_json(found),
            }
        )
    elif equal:
        print(f"{a} and {b} say the same ({hashes[0][:16]})")
    else:
        print(f"- {a}\n+ {b}")
        for line in change_lines(changes):
            print(line)
        for effect in found:
            print(wrapped(f"  {effect.line}", "    "))
    write_html(html, lambda: _report((a, b), pair, changes, found), quiet=format is Format.json)
    if not equal:
        raise typer.Exit(DIFFERS)


def _pair(left: Item, right: Item, a: str, b: str) -> Pair:
    if isinstance(left, Space) and isinstance(right, Space):
        return left, right
    if isinstance(left, Subnet) and isinstance(right, Subnet):
        return left, right
    raise fault("wrong-kind", f"{a} and {b} are not two spaces or two models")


def _changes(pair: Pair) -> tuple[Change, ...]:
    left, right = pair
    if isinstance(left, Space) and isinstance(right, Space):
        return diff_spaces(left, right)
    if isinstance(left, Subnet) and isinstance(right, Subnet):
        return diff_subnets(left, right)
    raise TypeError(pair)


def _hash(item: Space | Subnet) -> str:
    return subnet_identity(item) if isinstance(item, Subnet) else space_identity(item)


def _effects_json(found: tuple[Effect, ...]) -> dict[str, Any]:
    """Quantities by name, both sides; latencies as a list, one per target."""
    plain = {e.name.lower(): {"a": e.json[0], "b": e.json[1]} for e in found if not e.target}
    latency = [{"target": e.target, "a": e.json[0], "b": e.json[1]} for e in found if e.target]
    return {**plain, "latency": latency}


def change_lines(changes: tuple[Change, ...]) -> list[str]:
    """Changes as text, under the names of their stages."""
    lines: list[str] = []
    stage: str | None = None
    for change in changes:
        if change.stage and change.stage != stage:
            lines.append(f"  {change.stage}")
        stage = change.stage
        indent = "    " if change.stage else "  "
        lines.append(f"{indent}{change.key}: {sides(change)}")
    return lines


def _report(
    pages: tuple[str, str], pair: Pair, changes: Sequence[Change], found: Sequence[Effect]
) -> Report:
    from spacedsl.report.diff import Differences, Side, diff_report

    texts = [api.open_page(page)[0].source.text for page in pages]
    before = Side(pages[0], pair[0], texts[0])
    after = Side(pages[1], pair[1], texts[1])
    rows = tuple(
        (c.stage or "the page", c.key, side(c.before), side(c.after), *overlap(c)) for c in changes
    )
    effects = tuple((f"{e.name}{e.note}", *e.text) for e in found)
    return diff_report(Differences(before, after, rows, effects), made_by())
