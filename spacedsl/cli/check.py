"""spacedsl check: every error of some pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import ERROR, FINDINGS, Findings, emit, report
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Page
from spacedsl.passes.network import subnet_identity


def check(
    files: list[Path] = typer.Argument(..., help="Pages to check."),
    format: Findings = FINDINGS,
) -> None:
    """Check pages: syntax, names, membership, and that every block body fits its sizes."""
    examined = [(file, *api.examine(file)) for file in files]
    found = list(dict.fromkeys(d for _, _, errors in examined for d in errors))
    if found or format in (Findings.sarif, Findings.github):
        report(found, format)
        raise typer.Exit(ERROR if found else 0)
    pages = {str(file): _items(page) for file, page, _ in examined if page is not None}
    if format is Findings.json:
        emit({"files": [{"file": file, "items": items} for file, items in pages.items()]})
        return
    for file, items in pages.items():
        print(f"{file}: ok ({', '.join(i['kind'] + ' ' + i['name'] for i in items)})")


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
