"""What differs between two pages, as a report."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.figures import counted
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.report.parts import Code, Figure, Made, Report, Section, Table, Words
from spacedsl.report.ribbon import Ribbon, palette, runs, widest
from spacedsl.report.show import seen_stages


@dataclass(frozen=True, slots=True)
class Side:
    """A page as it was named, what is in it, and its text."""

    page: str
    item: Space | Subnet
    text: str


@dataclass(frozen=True, slots=True)
class Differences:
    """Two pages. `changes`: stage, what, before, after, what went, what came. `effects`: what
    follows, on both sides."""

    before: Side
    after: Side
    changes: tuple[tuple[str, str, str, str, str, str], ...]
    effects: tuple[tuple[str, str, str], ...]


def diff_report(found: Differences, made: Made) -> Report:
    """Both ribbons to one scale, the changes, their effects, and both pages."""
    sides = found.before, found.after
    drawn = [runs(side.item) for side in sides]
    colours, most = palette(*(side.item for side in sides)), widest(drawn)
    ribbons = tuple(
        Figure(f"{sign} {side.page}", seen_stages(own), Ribbon(own, colours, most))
        for sign, side, own in zip(("before:", "after:"), sides, drawn, strict=True)
    )
    changes = Table(
        "Changes", ("stage", "what", "before", "after", "gone", "new"), found.changes, 6
    )
    effects = Table("What follows", ("", "before", "after"), found.effects, 3)
    same = Words(("Both say the same, however they are written.",))
    count = len(found.changes)
    return Report(
        "diff",
        f"{found.before.page} and {found.after.page}",
        f"{counted(count, 'change')}, by meaning." if count else "No difference in meaning.",
        (
            Section("Stages", ribbons),
            Section("Changes", (changes,) if count else (same,)),
            Section("What follows", (effects,) if found.effects else ()),
            Section("The pages", tuple(Code(side.page, side.text) for side in sides)),
        ),
        made,
    )
