"""The pages that a page uses: paths, and what is meant where one is wrong or missing."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from spacedsl.diagnostics import Diagnostic, Fix, SpaceError, place, suggest
from spacedsl.lang.report import Abandon, Report
from spacedsl.syntax.tree import Token
from spacedsl.text import Span

if TYPE_CHECKING:
    from spacedsl.lang.page import Page

SUFFIX = ".space"
SHARED = "std"
"""The library's folder of pages that are made to be used."""


def said_path(token: Token, report: Report) -> str:
    """The path that a `use` says. Raises `Abandon` where it is none."""
    wanted = token.text[1:-1]
    pure = PurePosixPath(wanted)
    bad = pure.is_absolute() or "\\" in wanted or "\0" in wanted or re.match("[A-Za-z]:", wanted)
    if not bad and pure.suffix == SUFFIX:
        return wanted
    message = f"`use` takes a relative path that ends in {SUFFIX}"
    meant = wanted.replace("\\", "/")
    if not meant.endswith(SUFFIX):
        meant = f"{meant.rstrip('.')}{SUFFIX}"
    if PurePosixPath(meant).is_absolute() or re.match("[A-Za-z]:", meant) or len(meant) > 200:
        help = "write the path from this page's folder, with `/`: `../blocks.space`"
        raise report.fail("bad-use", message, token, help)
    fixes = [(f'write "{meant}"', token.span, f'"{meant}"')]
    raise report.fail("bad-use", message, token, f'write `use "{meant}"`', fixes)


def missing_page(page: Page, token: Token, report: Report) -> Abandon:
    """Note that there is no such page, with the one that was probably meant."""
    wanted = token.text[1:-1]
    help = "looked beside this page and in the library"
    near = suggest(wanted, _paths(page))
    if near is None:
        name = PurePosixPath(wanted).name
        near = next((p for p in _paths(page) if PurePosixPath(p).name == name), None)
    fixes = [(f'write "{near}"', token.span, f'"{near}"')] if near else []
    help = f"did you mean `{near}`?" if near else help
    return report.fail("missing-use", f"there is no page {wanted}", token, help, fixes)


def _paths(page: Page) -> list[str]:
    """The pages that a page may have meant to use, as it would write them."""
    from spacedsl.lang.page import library

    own = Path(page.source.name).name
    beside = sorted(p.name for p in page.folder.glob(f"*{SUFFIX}") if p.name != own)
    return (
        [f"{SHARED}/{p.name}" for p in _shared()]
        + beside
        + [p.name for p in sorted(library().glob(f"*{SUFFIX}"))]
    )


def _shared() -> list[Path]:
    from spacedsl.lang.page import library

    return sorted((library() / SHARED).glob(f"*{SUFFIX}"))


def check_unused_page(page: Page, name: Token, report: Report) -> None:
    """Raises `Abandon` where a block that is not known is one of a page of the library which this
    page does not use: one error for all of its blocks."""
    used = {p.use_path for p in page.uses}
    for path in _shared():
        wanted = f"{SHARED}/{path.name}"
        if wanted in used:
            continue
        try:
            there = page.loader.open(path, f"<library>/{wanted}", wanted)
        except SpaceError:
            continue
        if name.text in there.items:
            raise report.once(("use", wanted), _unused(page, name, wanted))


def _unused(page: Page, name: Token, wanted: str) -> Diagnostic:
    message = f"`{name.text}` is a block of {wanted}, which this page does not use"
    said = page.tree.first("language")
    start = page.source.text.find("\n", said.span.end) + 1 if said else 0
    line = f'use "{wanted}"\n'
    text = f"\n{line}" if said and start == 0 else line
    at = Span(start, start) if start or not said else Span(said.span.end, said.span.end)
    fix = Fix(f'put in `use "{wanted}"`', place(page.source, at), text)
    where = place(page.source, name.span)
    help = f'write `use "{wanted}"` after the language'
    return Diagnostic("missing-use", message, where, help, fixes=(fix,))
