"""Rows with bars or signs on one axis: things beside each other, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from spacedsl.report.legend import Entry, legend
from spacedsl.report.scale import Axis, Scale, figure, scale
from spacedsl.report.svg import Drawing, element, hovered, line, mark, rect, text, width_of

NARROW = 480
"""Below this width names stand above their rows."""

MOST = 0.34
"""Of the width, for names."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value, of the series of a colour; `value` is None where there is no number to draw, and
    `note` says why. A note stands behind its mark."""

    value: float | None
    colour: int
    said: str = ""
    range: tuple[float, float] | None = None
    hollow: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """`joined`: a line connects its marks, which stand on one height."""

    name: str
    marks: tuple[Mark, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """`lines`: values with their names. `look`: bars from zero, signs one below the other, or on
    one height with a line between them."""

    axis: Axis
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...] = ()
    lines: tuple[tuple[float, str], ...] = ()
    look: Literal["bars", "dots", "joined"] = "dots"

    def __call__(self, width: int) -> Drawing:
        """The picture."""
        return _drawn(self, width)


def _drawn(rows: Rows, width: int) -> Drawing:
    signs, top = legend(rows.entries, width)
    narrow = width < NARROW
    longest = max(width_of(row.name) for row in rows.rows)
    left = 8.0 if narrow else min(longest + 12, MOST * width)
    behind = max(width_of(n) for row in rows.rows for n in (row.note, *_notes(row)))
    right = min(behind + 8, 0.3 * width) if behind else 16.0
    marks = [m for row in rows.rows for m in row.marks if m.value is not None]
    values = [v for m in marks for v in (m.value, *(m.range or ())) if v is not None]
    along = scale([*values, *(v for v, _ in rows.lines)], rows.axis, left, width - right)
    named, lift = _lines(rows, along, top + 4)
    start = top + lift + 8
    y, shapes = start, []
    for row in rows.rows:
        high = _height(rows, row)
        if narrow:
            shapes.append(text(0, y + 11, row.name, "row"))
            y += 15
        else:
            shapes.append(text(left - 10, y + high / 2 + 4, row.name, "row", "end"))
        shapes += _row(rows, row, along, y, high)
        if row.note:
            shapes.append(text(width - right + 6, y + high / 2 + 4, row.note, "note"))
        y += high + (6 if narrow else 4)
        shapes.append(line(0 if narrow else left, y - 2, width, y - 2, "grid"))
    under = list(_grid(along, start - 2, y, rows, width))
    through = [line(along.at(v), start - 4, along.at(v), y, "limit") for v, _ in rows.lines]
    return Drawing(width, y + 40, (*signs, *under, *through, *named, *shapes))


def _notes(row: Row) -> Iterator[str]:
    return (m.note for m in row.marks if m.value is not None)


def _height(rows: Rows, row: Row) -> float:
    if rows.look == "joined":
        return 20.0
    each = 13.0 if rows.look == "bars" else 11.0
    return max(20.0, each * len(row.marks) + 4)


def _lines(rows: Rows, along: Scale, top: float) -> tuple[list[Markup], float]:
    """The names of lines, above them; each has a height of its own where they would meet."""
    found: list[Markup] = []
    ends: list[float] = []
    for value, name in rows.lines:
        if not name:
            continue
        wide, at = width_of(name, 11), along.at(value)
        x = min(max(at - wide / 2, 0.0), along.end - wide)
        level = next((i for i, end in enumerate(ends) if end < x), len(ends))
        ends[level : level + 1] = [x + wide + 8]
        found.append(text(x, top + 9 + 14 * level, name, "limit-name"))
    return found, 14.0 * len(ends)


def _row(rows: Rows, row: Row, along: Scale, y: float, high: float) -> Iterator[Markup]:
    known = [along.at(m.value) for m in row.marks if m.value is not None]
    joined = rows.look == "joined"
    if joined and len(known) > 1:
        yield line(min(known), y + high / 2, max(known), y + high / 2, "link")
    step = 0.0 if joined else (high - 4) / max(len(row.marks), 1)
    for i, m in enumerate(row.marks):
        at = y + high / 2 if joined else y + 2 + step * (i + 0.5)
        yield hovered(m.said, *_mark(rows, m, along, at, step))


def _mark(rows: Rows, m: Mark, along: Scale, y: float, step: float) -> Iterator[Markup]:
    if m.value is None:
        yield text(along.start + 4, y + 3.5, m.note, "aside")
        return
    x = along.at(m.value)
    if rows.look == "bars":
        zero, high = along.at(0.0), min(step - 1, 14.0)
        yield rect(min(zero, x), y - high / 2, abs(x - zero), high, f"b c{m.colour}")
    if m.range is not None:
        low, top = map(along.at, m.range)
        yield line(low, y, top, y, f"i {'over' if rows.look == 'bars' else f'c{m.colour}'}")
    if rows.look != "bars":
        yield element("circle", cx=x, cy=y, r=9, class_="touch")
        yield mark(x, y, m.colour, class_="hollow" if m.hollow else "")
    if m.note:
        end = max(x, along.at(m.range[1])) if m.range else x
        yield text(end + 8, y + 4, m.note, "note")


def _grid(along: Scale, top: float, bottom: float, rows: Rows, width: int) -> Iterator[Markup]:
    for tick in along.ticks(max(3, int((along.end - along.start) // 60)), whole=rows.axis.whole):
        at = along.at(tick)
        yield line(at, top, at, bottom, "grid")
        yield text(at, bottom + 15, figure(tick), "tick", "middle")
    middle, half = (along.start + along.end) / 2, width_of(rows.axis.label) / 2
    at = min(max(middle, half), width - half)
    yield text(at, bottom + 34, rows.axis.label, "name", "middle")
