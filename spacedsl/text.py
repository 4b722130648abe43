"""Source text and positions in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple


class Span(NamedTuple):
    """Offsets of characters, end exclusive."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of `other`."""
        return Span(self.start, max(self.end, other.end))


@dataclass(frozen=True)
class Source:
    """A page's text and the name it is shown by (the path as the user gave it)."""

    name: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _lines: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lengths = (len(line) + 1 for line in self.text.split("\n"))
        object.__setattr__(self, "_starts", (0, *accumulate(lengths)))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def start(self, number: int) -> int:
        """Offset of the start of line `number` (from 1)."""
        return self._starts[number - 1]

    def line(self, number: int) -> str:
        """Text of line `number` (from 1), without its end. Many places may name one long line: it
        is held once."""
        if number not in self._lines:
            start = self._starts[number - 1]
            end = self.text.find("\n", start)
            self._lines[number] = self.text[start : len(self.text) if end < 0 else end].rstrip("\r")
        return self._lines[number]
