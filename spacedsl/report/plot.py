"""Points on two axes: with intervals, limits, levels, and lines through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from spacedsl.report.labels import Label, Labels
from spacedsl.report.legend import Entry, legend
from spacedsl.report.scale import Axis, Scale, figure, scale
from spacedsl.report.svg import (
    Drawing,
    dot,
    element,
    group,
    hovered,
    line,
    mark,
    text,
    width_of,
)

Look = Literal["dots", "hollow", "cloud", "line", "steps"]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """`said` is what it says when it is pointed at, `label` what stands beside it."""

    x: float
    y: float
    said: str = ""
    label: str = ""
    x_range: Range | None = None
    y_range: Range | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """`look`: signs, empty signs, many small ones, a line, or one that stays until it changes.
    `joined`: a thin line runs through signs."""

    name: str
    points: tuple[Point, ...]
    colour: int
    look: Look = "dots"
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """`limits` are values of x, `levels` values of y, each with its name; `diagonals` are ratios of
    y to x, where both axes are alike."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    limits: tuple[tuple[float, str], ...] = ()
    levels: tuple[tuple[float, str], ...] = ()
    diagonals: tuple[tuple[float, str], ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    """More entries of the legend: a name and its look."""
    floor: float | None = None
    """What is lower stands at the lower edge."""

    def __call__(self, width: int) -> Drawing:
        """The picture."""
        return _Drawing(self, width).drawn()


RIGHT, BOTTOM, HEAD = 14.0, 40.0, 20.0

BESIDE = (-1, -1), (-1, 1), (1, -1), (1, 1)
"""The sides of the name of a level, at either end of it."""


@dataclass
class _Drawing:
    """A plot in a width: its scales, and its shapes in the order in which they cover each other."""

    plot: Plot
    width: int
    x: Scale = field(init=False)
    y: Scale = field(init=False)
    shapes: list[Markup] = field(default_factory=list)
    labels: Labels = field(default_factory=Labels)

    def drawn(self) -> Drawing:
        plot, wide = self.plot, self.width
        entries = [Entry(s.name, s.colour, s.look) for s in plot.series if s.name]
        signs, top = legend([*entries, *(Entry(n, 7, look) for n, look in plot.named)], wide)
        top += HEAD
        height = top + max(220.0, min(0.5 * wide, 380.0)) + BOTTOM
        xs, ys = _extent(plot)
        self.y = scale(ys, plot.y, height - BOTTOM, top)
        ticks = self.y.ticks(6, whole=plot.y.whole)
        left = max((width_of(figure(t)) for t in ticks), default=0.0) + 12
        self.x = scale(xs, plot.x, left, wide - RIGHT)
        self._grid(ticks, height)
        self._lines()
        for series in reversed(plot.series):  # the first one on top
            self._series(series)
        named = self.labels.placed(left, top, wide, height - BOTTOM)
        return Drawing(wide, height, (*signs, *self.shapes, *named))

    def _grid(self, ticks: Sequence[float], height: float) -> None:
        x, y, plot = self.x, self.y, self.plot
        for tick in ticks:
            at = y.at(tick)
            self.shapes += [
                line(x.start, at, x.end, at, "grid"),
                text(x.start - 6, at + 4, figure(tick), "tick", "end"),
            ]
        for tick in x.ticks(max(3, self.width // 75), whole=plot.x.whole):
            at = x.at(tick)
            self.shapes += [
                line(at, y.start, at, y.start + 4, "axis"),
                text(at, y.start + 17, figure(tick), "tick", "middle"),
            ]
        self.shapes += [
            line(x.start, y.start, x.end, y.start, "axis"),
            text((x.start + x.end) / 2, height - 4, plot.x.label, "name", "middle"),
            text(0, y.end - 9, plot.y.label, "name"),
        ]

    def _lines(self) -> None:
        """Limits, levels and diagonals, behind all points."""
        for value, name in self.plot.limits:
            at = self.x.at(value)
            said = hovered(name, line(at, self.y.start, at, self.y.end, "limit"))
            self.shapes.append(said)
        for value, name in self.plot.levels:
            at = self.y.at(value)
            self.shapes.append(hovered(name, line(self.x.start, at, self.x.end, at, "limit")))
            if name:
                x = self.x
                self.labels.add(Label(x.end, at, name, "limit-name", BESIDE, (x.start,)))
        for ratio, name in self.plot.diagonals:
            low = max(self.x.low, self.y.low / ratio)
            high = min(self.x.high, self.y.high / ratio)
            ends = (
                self.x.at(low),
                self.y.at(low * ratio),
                self.x.at(high),
                self.y.at(high * ratio),
            )
            self.shapes.append(hovered(name, line(*ends, "limit" if ratio == 1 else "band")))

    def _series(self, series: Series) -> None:
        at = [(self.x.at(p.x), self.y.at(p.y)) for p in series.points]
        if series.look in ("line", "steps") or series.joined:
            class_ = f"l c{series.colour}{' thin' if series.joined else ''}"
            points = _stepped(at) if series.look == "steps" else at
            said = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
            path = element("polyline", points=said, class_=class_)
            self.shapes.append(hovered(series.name, path))
        if series.look == "steps":
            for (x, y), (to_x, to_y) in pairwise(_stepped(at)):
                self.labels.block_between(x, y, to_x, to_y, 2)
            return
        marks = [
            hovered(p.said, *self._point(p, px, py, series))
            for p, (px, py) in zip(series.points, at, strict=True)
        ]
        self.shapes.append(group(marks))
        if series.look == "cloud":
            return
        for p, (px, py) in zip(series.points, at, strict=True):
            self.labels.block(px, py, 6)
            if p.label:
                self.labels.add(Label(px, py, p.label, "label"))

    def _point(self, p: Point, px: float, py: float, series: Series) -> Iterator[Markup]:
        c = series.colour
        if p.y_range is not None:
            yield line(px, self.y.at(p.y_range[0]), px, self.y.at(p.y_range[1]), f"i c{c}")
        if p.x_range is not None:
            yield line(self.x.at(p.x_range[0]), py, self.x.at(p.x_range[1]), py, f"i c{c}")
        match series.look:
            case "cloud":
                yield dot(px, py, c)
            case "line" if len(series.points) > 1:
                yield element("circle", cx=px, cy=py, r=5, class_="touch")
            case look:
                if p.said:
                    yield element("circle", cx=px, cy=py, r=11, class_="touch")
                yield mark(px, py, c, class_="hollow" if look == "hollow" else "")


def _stepped(at: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    before: float | None = None
    for x, y in at:
        if before is not None:
            yield x, before
        yield x, y
        before = y


def _extent(plot: Plot) -> tuple[list[float], list[float]]:
    """Every value that must be on an axis. Axes of a plot with diagonals are alike."""
    points = [p for series in plot.series for p in series.points]
    xs = [v for p in points for v in (p.x, *(p.x_range or ()))] + [v for v, _ in plot.limits]
    ys = [v for p in points for v in (p.y, *(p.y_range or ()))] + [v for v, _ in plot.levels]
    if plot.floor is not None:
        ys = [max(y, plot.floor) for y in ys]
    return (xs + ys, xs + ys) if plot.diagonals else (xs, ys)
