"""Words for people that are no comment: what was said before and after a page that was pasted."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import suggest
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.text import Span

SIGNS = ("{", "}", "=", "->")
"""What a line of the language has, and one for people seldom."""


def notes(stopped: Stopped) -> Iterator[Rewrite]:
    """`Here is the page you asked for:`, `Page 3 of 12`, `$ cat a.space`, `...` on lines of their
    own."""
    index, token = stopped.index, stopped.token
    dots = token.text in (".", "..", "…")
    if not stopped.is_first(0) or not ("HYPERSPACE" in stopped.may or dots):
        return
    after = stopped.line_end(index)
    texts = [t.text for t in stopped.tokens[index:after]]
    if set(texts) & set(SIGNS) or token.type in keywords() or token.type == "INT":
        return
    meant = suggest(token.text, keywords().values())
    if token.type == "NAME" and after - index < (4 if meant else 3):
        return
    start, end = token.span.start, stopped.tokens[after - 1].span.end
    line = stopped.source.text[start:end]
    shown = line if len(line) < 40 else f"{line[:36].rstrip()} ..."
    yield Rewrite(
        "note",
        f"`{shown}` is no statement of the language",
        Span(start, end),
        (Change(index, after, ""),),
        "a comment begins with `#` and ends with its line",
        "begin it with `#`",
        (Put(Span(start, start), "# "),),
    )


HABITS = (notes,)
