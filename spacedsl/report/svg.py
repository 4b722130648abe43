"""SVG elements. What is said in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

SIZE = 12
"""Of letters, in pixels."""

LETTER, THIN, WIDE = 0.64, 0.42, 0.98
"""Width of a letter over its height, for places of labels: those of DejaVu Sans, the widest font
that browsers take."""


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """An element. `class_` is `class`, `_` in names is `-`; None leaves an attribute out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{}{}>{}</{}>").format(
        name,
        Markup(said),  # noqa: S704  its values are escaped
        Markup("").join(children),
        name,
    )


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return value
    found = f"{value:.1f}".removesuffix(".0")
    return "0" if found == "-0" else found


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    """Words at a place: its start, middle or end."""
    at = None if anchor == "start" else anchor
    return element("text", words, x=x, y=y, class_=class_ or None, text_anchor=at)


def width_of(words: str, size: float = SIZE) -> float:
    """About how wide words are."""
    thin, wide = (sum(map(words.count, some)) for some in (" fijlrt-.,:;'()|", "mwMW%"))
    return size * (LETTER * (len(words) - thin - wide) + THIN * thin + WIDE * wide)


def hovered(said: str, *shapes: Markup, class_: str = "") -> Markup:
    """Shapes that say something when they are pointed at."""
    title = [element("title", said)] if said else []
    return element("g", *title, *shapes, class_=class_ or None)


def group(shapes: Iterable[Markup], class_: str = "") -> Markup:
    """Shapes together."""
    return element("g", *shapes, class_=class_ or None)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A rectangle, never thinner than what can be seen."""
    return element("rect", x=x, y=y, width=max(width, 0.5), height=max(height, 0.5), class_=class_)


def dot(x: float, y: float, colour: int) -> Markup:
    """The sign of a series of many points, which may lie over each other."""
    return element("circle", cx=x, cy=y, r=2.5, class_=f"m c{colour} faint")


def mark(x: float, y: float, colour: int, r: float = 4, class_: str = "") -> Markup:
    """The sign of a series: its shape, as its colour, tells it from the others."""
    said = f"m c{colour} {class_}".rstrip()
    match colour % 4:
        case 0:
            return element("circle", cx=x, cy=y, r=r, class_=said)
        case 1:
            points = f"{x:.1f},{y - r * 1.2:.1f} {x + r * 1.2:.1f},{y + r:.1f} "
            points += f"{x - r * 1.2:.1f},{y + r:.1f}"
        case 2:
            s = r * 0.9
            points = f"{x - s:.1f},{y - s:.1f} {x + s:.1f},{y - s:.1f} "
            points += f"{x + s:.1f},{y + s:.1f} {x - s:.1f},{y + s:.1f}"
        case _:
            d = r * 1.3
            points = (
                f"{x:.1f},{y - d:.1f} {x + d:.1f},{y:.1f} {x:.1f},{y + d:.1f} {x - d:.1f},{y:.1f}"
            )
    return element("polygon", points=points, class_=said)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes, and the size in pixels that they take."""

    width: float
    height: float
    shapes: tuple[Markup, ...]


def picture(drawing: Drawing, name: str, title: str, seen: str) -> Markup:
    """A drawing as an image with a title and what there is to see in it; `name` is its own."""
    return element(
        "svg",
        element("title", title, id=f"{name}t"),
        element("desc", seen, id=f"{name}d"),
        *drawing.shapes,
        viewBox=f"0 0 {drawing.width:.0f} {drawing.height:.0f}",
        role="img",
        aria_labelledby=f"{name}t {name}d",
    )
