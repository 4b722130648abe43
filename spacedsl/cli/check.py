"""spacedsl check: every error of some pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import ERROR, FINDINGS, Findings, emit, report
from spacedsl.cli.pages import STDIN, read_stdin
from spacedsl.diagnostics import Diagnostic, SpaceError, fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import SUFFIX, Loader, Page
from spacedsl.passes.network import subnet_identity


def check(
    files: list[str] = typer.Argument(
        ..., help="Pages to check; a folder for those in it, - for standard input."
    ),
    format: Findings = FINDINGS,
) -> None:
    """Check pages: syntax, names, membership, and that every block body fits its sizes."""
    examined = [(name, *_examined(name)) for file in files for name in _named(file)]
    found = list(dict.fromkeys(d for _, _, errors in examined for d in errors))
    if found or format in (Findings.sarif, Findings.github):
        report(found, format)
        raise typer.Exit(ERROR if found else 0)
    warned = [
        warning
        for _, page, _ in examined
        if page is not None
        for warning in api.page_warnings(page)
    ]
    pages = {name: _items(page) for name, page, _ in examined if page is not None}
    if format is Findings.json:
        entries = [{"file": file, "items": items} for file, items in pages.items()]
        emit({"files": entries, "warnings": warned})
        return
    for file, items in pages.items():
        print(f"{file}: ok ({', '.join(i['kind'] + ' ' + i['name'] for i in items)})")
    for warning in warned:
        print(f"warning: {warning}", file=sys.stderr)


def _named(file: str) -> Iterator[str]:
    """The pages that a word of the command line names. Raises `SpaceError` where a folder has
    none; folders whose name begins with a dot are not looked into."""
    folder = Path(file)
    if file == STDIN or not folder.is_dir():
        yield file
        return
    found = [
        path
        for path in sorted(folder.rglob(f"*{SUFFIX}"))
        if path.is_file() and not any(p[0] == "." for p in path.relative_to(folder).parts)
    ]
    if not found:
        raise fault("empty-folder", f"there is no page (*{SUFFIX}) in {folder}")
    yield from map(str, found)


def _examined(name: str) -> tuple[Page | None, tuple[Diagnostic, ...]]:
    if name != STDIN:
        return api.examine(name)
    try:
        page = Loader().open_source(read_stdin(), Path())
    except SpaceError as error:
        return None, error.diagnostics
    return page, api.page_errors(page)


def _items(page: Page) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for name in page.names:
        item = page.get(name)
        entry: dict[str, Any] = {"kind": page.kind(name), "name": name}
        if isinstance(item, Space):
            entry["hash"] = space_identity(item)
        elif isinstance(item, Subnet):
            entry["hash"] = subnet_identity(item)
        items.append(entry)
    return items
