"""spacedsl check: every error of some pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import ERROR, FORMAT, Format, emit, report
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.network import subnet_identity


def check(
    files: list[Path] = typer.Argument(..., help="Pages to check."),
    format: Format = FORMAT,
) -> None:
    """Check pages: syntax, names, membership, and that every block body fits its sizes."""
    found = [d for file in files for d in api.check(file)]
    if found:
        report(found, format)
        raise typer.Exit(ERROR)
    pages = {str(file): _items(file) for file in files}
    if format is Format.json:
        emit({"files": [{"file": file, "items": items} for file, items in pages.items()]})
        return
    for file, items in pages.items():
        print(f"{file}: ok ({', '.join(i['kind'] + ' ' + i['name'] for i in items)})")


def _items(file: Path) -> list[dict[str, Any]]:
    page, _ = api.open_page(file)
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
