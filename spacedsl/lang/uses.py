"""The pages that a page uses: paths, and what is meant where one is wrong or missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from spacedsl.diagnostics import Diagnostic, Fix, place, suggest
from spacedsl.lang.library import SUFFIX, library
from spacedsl.lang.report import Abandon, Report
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span

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
    if meant.lower().endswith(SUFFIX):
        meant = meant[: -len(SUFFIX)] + SUFFIX
    else:
        meant = f"{meant.rstrip('.')}{SUFFIX}"
    if PurePosixPath(meant).is_absolute() or re.match("[A-Za-z]:", meant) or len(meant) > 200:
        help = "write the path from this page's folder, with `/`: `../blocks.space`"
        raise report.fail("bad-use", message, token, help)
    fixes = [(f'write "{meant}"', token.span, f'"{meant}"')]
    raise report.fail("bad-use", message, token, f'write `use "{meant}"`', fixes)


def missing_page(token: Token, folder: Path, report: Report) -> Abandon:
    """Note that a page in `folder` uses a page that is not there, with the one that was probably
    meant."""
    wanted = token.text[1:-1]
    paths = _paths(folder, Path(report.source.name).name)
    near = suggest(wanted, paths)
    if near is None:
        name = PurePosixPath(wanted).name
        near = next((p for p in paths if PurePosixPath(p).name == name), None)
    fixes = [(f'write "{near}"', token.span, f'"{near}"')] if near else []
    help = f"did you mean `{near}`?" if near else "looked beside this page and in the library"
    return report.fail("missing-use", f"there is no page {wanted}", token, help, fixes)


def _paths(folder: Path, own: str) -> list[str]:
    """The pages that the page `own` of a folder may have meant to use, as it would write them."""
    beside = sorted(p.name for p in folder.glob(f"*{SUFFIX}") if p.name != own)
    return (
        [f"{SHARED}/{p.name}" for p in _shared()]
        + beside
        + [p.name for p in sorted(library().glob(f"*{SUFFIX}"))]
    )


def _shared() -> list[Path]:
    return sorted((library() / SHARED).glob(f"*{SUFFIX}"))


def unused_pages(used: Collection[str]) -> Iterator[tuple[str, Path]]:
    """The library's pages that are made to be used and are not among `used`: how a `use` says each,
    and where it is."""
    for path in _shared():
        if f"{SHARED}/{path.name}" not in used:
            yield f"{SHARED}/{path.name}", path


def missing_use(name: Token, wanted: str, source: Source, tree: Node) -> Diagnostic:
    """The error where a page names a block of the library's page `wanted`, which it does not
    use."""
    message = f"`{name.text}` is a block of {wanted}, which this page does not use"
    said = tree.first("language")
    start = source.text.find("\n", said.span.end) + 1 if said else 0
    line = f'use "{wanted}"\n'
    text = f"\n{line}" if said and start == 0 else line
    at = Span(start, start) if start or not said else Span(said.span.end, said.span.end)
    fix = Fix(f'put in `use "{wanted}"`', place(source, at), text)
    where = place(source, name.span)
    help = f'write `use "{wanted}"` after the language'
    return Diagnostic("missing-use", message, where, help, fixes=(fix,))
