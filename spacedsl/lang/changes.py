"""Changes in words."""

from __future__ import annotations

from spacedsl.ir.diff import Change, Side
from spacedsl.lang.values import shown


def change_words(change: Change) -> str:
    """A change on one line, with its stage."""
    return f"{f'{change.stage} ' if change.stage else ''}{change.key}: {sides(change)}"


def overlap(change: Change) -> tuple[str, str]:
    """What went and what came, where the two sides have values in common."""
    kept = len(change.before or ()) - len(change.removed)
    if not kept or change.key.startswith("block "):
        return "", ""
    return shown(change.removed), shown(change.added)


def sides(change: Change) -> str:
    """Before and after; where they overlap, what went and what came."""
    both = f"{side(change.before)} -> {side(change.after)}"
    gone, come = overlap(change)
    parts = [f"{sign} {values}" for sign, values in (("-", gone), ("+", come)) if values]
    return f"{both}  ({'  '.join(parts)})" if parts else both


def side(values: Side) -> str:
    """One side of a change."""
    if not values:
        return "none"
    if any(isinstance(value, str) for value in values):
        return " ".join(map(str, values))
    return shown(values)
