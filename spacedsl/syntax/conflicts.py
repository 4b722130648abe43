"""The marks that git leaves in a file where it could not merge."""

from __future__ import annotations

import re

from spacedsl.diagnostics import Diagnostic, Label, place
from spacedsl.text import Source, Span

MARK = re.compile(r"^(<{7}|\|{7}|={7}|>{7})(?: [^\n]*)?\r?$", re.MULTILINE)
SAID = {
    "<": "one side begins here",
    "|": "what both began with is here",
    "=": "the other side begins here",
    ">": "the other side ends here",
}


def merge_conflict(source: Source) -> Diagnostic | None:
    """The error of a page with conflict marks: at the first of them, with its others beside."""
    found = list(MARK.finditer(source.text))
    if not found or found[0][1] == "=" * 7:
        return None
    first, *rest = found
    conflicts = max(1, sum(m[1][0] == "<" for m in found))
    where = place(source, Span(first.start(), first.end(1)))
    labels = tuple(
        Label(place(source, Span(m.start(), m.end(1))), SAID[m[1][0]]) for m in rest[:3]
    )
    count = "a merge conflict" if conflicts == 1 else f"{conflicts} merge conflicts"
    message = f"{count} of git in this page {'is' if conflicts == 1 else 'are'} not resolved"
    help = "keep one side or join both, and take out the lines with `<<<<<<<`, `=======`, `>>>>>>>`"
    return Diagnostic("merge-conflict", message, where, help, labels)
