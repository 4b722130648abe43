"""Texts that are no page as a whole: with other line ends, with the marks of a merge, or in another
language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from spacedsl.diagnostics import Diagnostic, Fix, Label, place, suggest
from spacedsl.syntax.tree import Token
from spacedsl.text import Source, Span

LONE = re.compile(r"\r(?<!\r\r)\r*(?=[^\r\n])")
"""Carriage returns with neither a line feed nor the end of the page behind them. Only the first of
several in a row is tried: the time stays in proportion to the text."""
MARK = re.compile(r"^[ \t]*(<{7}|\|{7}|={7}|>{7})(?: [^\n]*)?\r?$", re.MULTILINE)
SAID = {
    "<": "one side begins here",
    "|": "what both began with is here",
    "=": "the other side begins here",
    ">": "the other side ends here",
}


def line_ends(source: Source) -> Diagnostic | None:
    """The error of a page with lines that end in a carriage return alone: to the language they are
    one line, most of it in a comment."""
    found = LONE.search(source.text)
    if found is None:
        return None
    message = "lines end in a carriage return alone, as on old Macs, and are one line here"
    help = "save the page with the line ends of Unix or Windows"
    text = re.sub(r"\r\n?", "\n", source.text)
    whole = place(source, Span(0, len(source.text)))
    fixes = (Fix("write line feeds", whole, text),) if text.strip() else ()
    where = place(source, Span(found.start(), found.start() + 1))
    return Diagnostic("notation", message, where, help, fixes=fixes)


def merge_conflict(source: Source) -> Diagnostic | None:
    """The error of a page with conflict marks: at the first of them, with its others beside."""
    found = list(MARK.finditer(source.text))
    if not found or found[0][1] == "=" * 7:
        return None
    first, *rest = found
    conflicts = max(1, sum(m[1][0] == "<" for m in found))
    where = place(source, Span(*first.span(1)))
    labels = tuple(Label(place(source, Span(*m.span(1))), SAID[m[1][0]]) for m in rest[:3])
    count = "a merge conflict" if conflicts == 1 else f"{conflicts} merge conflicts"
    message = f"{count} of git in this page {'is' if conflicts == 1 else 'are'} not resolved"
    help = "keep one side or join both, and take out the lines with `<<<<<<<`, `=======`, `>>>>>>>`"
    return Diagnostic("merge-conflict", message, where, help, labels)


STATEMENTS = ("LANGUAGE", "USE", "BLOCK", "HYPERSPACE", "__ANON_1", "MODEL", "TARGET")
WORDS = ("language", "use", "block", "hyperspace", "space", "model", "target")


def no_page(source: Source, tokens: Sequence[Token]) -> Diagnostic | None:
    """The error of a text that has no statement of the language and does not begin like one."""
    first = tokens[0]
    words = [suggest(t.text, WORDS) for t in tokens[:2] if t.type == "NAME"]
    pairs = pairwise(tokens)
    said = any(a.type in STATEMENTS and b.type in ("NAME", "INT", "STRING") for a, b in pairs)
    if said or any(words) or first.type in STATEMENTS:
        return None
    message = f"this is no page of spaces: it begins with `{first.text[:20].strip()}`"
    help = "a page begins with `language 1`, then says `hyperspace NAME { ... }` or a `use`"
    return Diagnostic("no-language", message, place(source, first.span), help)
