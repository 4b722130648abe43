"""What the signs of a picture mean, above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from spacedsl.report.svg import dot, line, mark, rect, text, width_of

SIGN, GAP, HIGH = 18, 16, 20


@dataclass(frozen=True, slots=True)
class Entry:
    """`look`: a sign of a series, a line, a faint line of a limit, or a patch of colour."""

    name: str
    colour: int
    look: str = "dots"


def legend(entries: Sequence[Entry], width: float) -> tuple[list[Markup], float]:
    """The entries, in as many lines as they need, and their height."""
    shapes: list[Markup] = []
    x, y = 0.0, HIGH / 2
    for entry in entries:
        long = SIGN + width_of(entry.name)
        if x and x + long > width:
            x, y = 0.0, y + HIGH
        shapes += [*_sign(entry, x, y), text(x + SIGN, y + 4, entry.name)]
        x += long + GAP
    return shapes, (y + HIGH / 2 + 6 if entries else 0.0)


def _sign(entry: Entry, x: float, y: float) -> list[Markup]:
    match entry.look:
        case "line" | "steps":
            return [line(x, y, x + 13, y, f"l c{entry.colour}")]
        case "limit" | "band":
            return [line(x, y, x + 13, y, entry.look)]
        case "patch":
            return [rect(x + 1, y - 5, 11, 10, f"b c{entry.colour}")]
        case "open":
            return [rect(x + 1, y - 5, 11, 10, "open")]
        case "cloud":
            return [dot(x + 6, y, entry.colour)]
        case "hollow":
            return [mark(x + 6, y, entry.colour, 4, "hollow")]
        case _:
            return [mark(x + 6, y, entry.colour)]
