"""The errors of a page as an editor shows them: each in this page, with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spacedsl.api import page_errors, page_warnings
from spacedsl.diagnostics import Diagnostic, Place
from spacedsl.lang.page import Page
from spacedsl.lsp.project import path_of, shown_path
from spacedsl.text import Source, Span

UNNECESSARY = ("unused-parameter", "unused-name", "duplicate-value", "duplicate-modifier")
"""Codes of text that could as well go; editors fade it."""


@dataclass(frozen=True, slots=True)
class Related:
    """What a place, maybe in another file, has to do with it."""

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Repair:
    """`text` instead of `span` mends it."""

    title: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    message: str
    span: Span
    related: tuple[Related, ...] = ()
    repairs: tuple[Repair, ...] = ()
    warning: bool = False

    @property
    def unnecessary(self) -> bool:
        return self.code in UNNECESSARY


def findings(page: Page) -> tuple[Finding, ...]:
    """What `spacedsl check` says of a page. What is wrong in other pages stands where this one
    names them."""
    own = path_of(page)
    here: list[Finding] = []
    elsewhere: dict[Path, list[Diagnostic]] = {}
    errors = page_errors(page)
    for diagnostic in errors or page_warnings(page):
        path = shown_path(diagnostic.place.file) if diagnostic.place else own
        if path == own:
            here.append(_finding(diagnostic, page.source))
        else:
            elsewhere.setdefault(path, []).append(diagnostic)
    return (*here, *(_foreign(page, path, found) for path, found in elsewhere.items()))


def _finding(diagnostic: Diagnostic, source: Source) -> Finding:
    message = diagnostic.message
    if diagnostic.help:
        message += f"\n{diagnostic.help}"
    return Finding(
        diagnostic.code,
        message,
        span_of(diagnostic.place, source) if diagnostic.place else Span(0, 0),
        tuple(Related(label.place, label.message) for label in diagnostic.labels),
        tuple(Repair(f.title, span_of(f.place, source), f.text) for f in diagnostic.fixes),
        diagnostic.severity == "warning",
    )


def _foreign(page: Page, path: Path, found: list[Diagnostic]) -> Finding:
    """The errors of another page, said where this page names it."""
    noun = "error" if len(found) == 1 else "errors"
    message = f"{path.name} has {len(found)} {noun}: {found[0].message}"
    related = tuple(Related(d.place, d.message) for d in found if d.place)
    return Finding(found[0].code, message, _mention(page, path), related)


def _mention(page: Page, path: Path) -> Span:
    """Where a page is named: its `use`, the `use` of a page that leads there, or `of`."""
    uses = {p.use_path: p for p in page.uses}
    for node in page.tree.all("use"):
        used = uses.get(node.token("STRING").text[1:-1]) if node.tokens("STRING") else None
        if used is not None and path in _leads_to(used):
            return node.token("STRING").span
    for item in page.tree.all("space", "model"):
        of = item.first("of")
        if of is not None and of.tokens("NAME") and of.token("NAME").text == path.stem:
            return of.token("NAME").span
    ofs = [item.get("of").span for item in page.tree.all("space", "model") if item.first("of")]
    return ofs[0] if ofs else Span(0, 0)


def _leads_to(page: Page) -> set[Path]:
    return {path_of(page), *(path for used in page.uses for path in _leads_to(used))}


def span_of(place: Place, source: Source) -> Span:
    """The offsets of a place of this text."""
    last = source.text.count("\n") + 1
    ends = (place.line, place.column), (place.end_line, place.end_column)
    start, end = (source.start(min(line, last)) + column - 1 for line, column in ends)
    return Span(start, max(start, end))


def within(found: Iterable[Finding], span: Span) -> list[Finding]:
    """Those that have to do with a part of the text."""
    return [f for f in found if f.span.start <= span.end and span.start <= f.span.end]
