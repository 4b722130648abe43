"""Every error of a page and of what it refers to."""

from __future__ import annotations

from spacedsl.diagnostics import Diagnostic, SpaceError, order
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.page import Page
from spacedsl.lang.tables import missing_table
from spacedsl.lang.targets import target_errors

MAX_ERRORS = 100
"""More of a page are counted, not shown."""


def check_page(page: Page) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a page and with what it refers to, each once: the page itself
    in order of its text, then other files."""
    found = list(page.all_errors())
    for name in page.names:
        try:
            item = page.get(name)
        except SpaceError as error:
            found += error.diagnostics
            continue
        if isinstance(item, Target):
            found += target_errors(page.items[name], page)
        if isinstance(item, Space):
            said = page.items[name].first("quality")
            missing = missing_table(said.token("STRING"), page) if said else None
            found += [missing] if missing else []
    own = page.source.name
    ordered = sorted(dict.fromkeys(found), key=lambda d: _rank(d, own))
    more = len(ordered) - MAX_ERRORS
    if more > 0:
        ordered[MAX_ERRORS:] = [Diagnostic("more-errors", f"and {more:,} more errors in {own}")]
    return tuple(ordered)


def _rank(diagnostic: Diagnostic, own: str) -> tuple[bool, str, tuple[int, int]]:
    file = diagnostic.place.file if diagnostic.place else ""
    return file not in ("", own), file, order(diagnostic)
