"""Every error of a page and of what it refers to."""

from __future__ import annotations

from spacedsl.diagnostics import Diagnostic, SpaceError, order
from spacedsl.lang.page import Page

MAX_ERRORS = 100
"""More of a page are counted, not shown."""


def check_page(page: Page) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a page and with what it refers to, each once: the page itself
    in order of its text, then other files."""
    found = list(page.all_errors())
    for name in page.names:
        try:
            page.get(name)
        except SpaceError as error:
            found += error.diagnostics
    own = page.source.name
    ordered = sorted(dict.fromkeys(found), key=lambda d: _rank(d, own))
    more = len(ordered) - MAX_ERRORS
    if more > 0:
        ordered[MAX_ERRORS:] = [Diagnostic("more-errors", f"and {more:,} more errors in {own}")]
    return tuple(ordered)


def _rank(diagnostic: Diagnostic, own: str) -> tuple[bool, str, tuple[int, int]]:
    file = diagnostic.place.file if diagnostic.place else ""
    return file not in ("", own), file, order(diagnostic)
