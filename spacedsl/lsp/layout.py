"""The canonical layout of a page as one small edit."""

from __future__ import annotations

from spacedsl.syntax.printer import format_text
from spacedsl.text import Source, Span


def layout(source: Source) -> tuple[Span, str] | None:
    """What `spacedsl fmt` changes, whole lines at both ends left out that stay; None where that
    is nothing. Raises `SpaceError` where the page does not parse."""
    new = format_text(source)
    old = source.text
    if new == old:
        return None
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    first = sum(map(len, before[:start]))
    last = len(old) - sum(map(len, before[len(before) - end :]))
    return Span(first, last), "".join(after[start : len(after) - end])
