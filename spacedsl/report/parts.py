"""What a report consists of. Everything is text until it is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from spacedsl.report.svg import Drawing

Draw = Callable[[int], Drawing]
"""Draws a picture, so many pixels wide."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture. `title` is above it; `seen` says to who cannot see it what there is to see;
    `caption` is below it."""

    kind: ClassVar = "figure"
    title: str
    seen: str
    draw: Draw
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`left`: how many columns hold words, which stand on the left; numbers stand on the right.
    `folded`: it is shown when it is asked for. `cut`: rows below these places begin a group."""

    kind: ClassVar = "table"
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    note: str = ""
    folded: bool = False
    cut: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what is said of them."""

    kind: ClassVar = "facts"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Paragraphs."""

    kind: ClassVar = "words"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A page of ours, to be highlighted."""

    kind: ClassVar = "code"
    title: str
    text: str


Element = Figure | Table | Facts | Words | Code


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a heading."""

    title: str
    parts: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """How a result was made: the command, and further facts, such as the seed and the machine."""

    command: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A page. `kind` stands above its title, `lead` is its first sentence."""

    kind: str
    title: str
    lead: str
    sections: tuple[Section, ...]
    made: Made
