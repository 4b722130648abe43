"""Names beside points, none over another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from markupsafe import Markup

from spacedsl.report.svg import SIZE, text, width_of

Side = tuple[int, int]
Box = tuple[float, float, float, float]

SIDES: tuple[Side, ...] = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Where a name may stand: right, left, above, below, and at the corners."""

AWAY = 8.0


@dataclass(frozen=True, slots=True)
class Label:
    """Words beside a place; `only`: the sides on which they may be; `else_x`: where they may be as
    well, further along a line."""

    x: float
    y: float
    words: str
    class_: str
    only: tuple[Side, ...] = SIDES
    else_x: tuple[float, ...] = ()


@dataclass
class Labels:
    """Names that want a place, and what is there already."""

    wanted: list[Label] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)

    def add(self, label: Label) -> None:
        """Ask for a place."""
        self.wanted.append(label)

    def block(self, x: float, y: float, r: float) -> None:
        """Keep a place free of names."""
        self.block_between(x, y, x, y, r)

    def block_between(self, x: float, y: float, to_x: float, to_y: float, r: float) -> None:
        """Keep a level or an upright line free of names."""
        low, high = (min(x, to_x), min(y, to_y)), (max(x, to_x), max(y, to_y))
        self.taken.append((low[0] - r, low[1] - r, high[0] + r, high[1] + r))

    def placed(self, left: float, top: float, right: float, bottom: float) -> Iterator[Markup]:
        """The names that have room within these borders. One that has none is left out: its point
        says it when pointed at."""
        for label in self.wanted:
            for x, side in product((label.x, *label.else_x), label.only):
                box = _box(label, x, side)
                inside = left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom
                if inside and not any(_meet(box, other) for other in self.taken):
                    self.taken.append(box)
                    yield text(box[0], box[3] - 3, label.words, label.class_)
                    break


def _box(label: Label, at: float, side: Side) -> Box:
    wide, high = width_of(label.words, SIZE - 1), SIZE + 1
    x = {1: at + AWAY, 0: at - wide / 2, -1: at - AWAY - wide}[side[0]]
    y = {1: label.y + AWAY, 0: label.y - high / 2, -1: label.y - AWAY - high}[side[1]]
    return x, y, x + wide, y + high


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
