"""Positions as the Language Server Protocol counts them: lines and code units, both from 0."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from spacedsl.text import Span

LINE_END = re.compile(r"\r\n|\r|\n")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Encoding(StrEnum):
    """What a character counts, as the client and the server agreed."""

    utf8 = "utf-8"
    utf16 = "utf-16"
    utf32 = "utf-32"


class Position(NamedTuple):
    line: int
    character: int


class Edit(NamedTuple):
    """`text` instead of what is between two positions; all of the text where they are None."""

    text: str
    start: Position | None = None
    end: Position | None = None


@dataclass(frozen=True)
class Lines:
    """A text whose offsets and positions turn into each other."""

    text: str
    encoding: Encoding = Encoding.utf16

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in LINE_END.finditer(self.text))]

    @cached_property
    def _ends(self) -> list[int]:
        return [*(found.start() for found in LINE_END.finditer(self.text)), len(self.text)]

    def position(self, offset: int) -> Position:
        """The position of an offset; one outside the text is taken to its nearest end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        return Position(line, _units(self.text[start:offset], self.encoding))

    def offset(self, position: Position) -> int:
        """The offset of a position. What is beyond a line is its end, what is beyond the text the
        text's end, what is within a character its start."""
        if position.line >= len(self._starts):
            return len(self.text)
        start, end = self._starts[position.line], self._ends[position.line]
        left = position.character
        if self.encoding is Encoding.utf32 or self.text[start:end].isascii():
            return min(start + left, end)
        for offset in range(start, end):
            left -= _units(self.text[offset], self.encoding)
            if left < 0:
                return offset
        return end

    def range(self, span: Span) -> tuple[Position, Position]:
        """Where a span begins and ends."""
        return self.position(span.start), self.position(span.end)


def _units(text: str, encoding: Encoding) -> int:
    if encoding is Encoding.utf32 or text.isascii():
        return len(text)
    if encoding is Encoding.utf8:
        return len(text.encode())
    return len(text) + sum(char > "\uffff" for char in text)


def apply(text: str, edits: Sequence[Edit], encoding: Encoding) -> str:
    """The text after edits, each of which is to what the one before left."""
    for edit in edits:
        new = clean(edit.text)
        if edit.start is None or edit.end is None:
            text = new
            continue
        lines = Lines(text, encoding)
        start = lines.offset(edit.start)
        text = text[:start] + new + text[max(start, lines.offset(edit.end)) :]
    return text


def clean(text: str) -> str:
    """The text without halves of characters, which JSON can hold and files cannot; as long as
    it was."""
    return LONE_SURROGATE.sub("\ufffd", text)
