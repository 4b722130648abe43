"""spacedsl check: every error of some pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import DIFFERS, ERROR, FINDINGS, Findings, emit, report
from spacedsl.cli.gate import Checked, Of, checked, open_gate
from spacedsl.cli.pages import STDIN, named, read_stdin
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import Diagnostic, SpaceError, fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader, Page
from spacedsl.passes.network import subnet_identity


def check(
    files: list[str] = typer.Argument(
        ..., help="Pages to check; a folder for those in it, - for standard input."
    ),
    target: str | None = typer.Option(None, "--target", help="Also latencies on this target."),
    max_latency: str | None = typer.Option(
        None, "--max-latency", help="The most that is allowed there, e.g. 15ms; exit 1 above it."
    ),
    of: Of = typer.Option(
        Of.largest, "--of", help="Of a space: its fastest, slowest (largest) or best network."
    ),
    format: Findings = FINDINGS,
) -> None:
    """Check pages: syntax, names, membership, that every block body fits its sizes, and latencies.
    Nothing is measured for that: a target of this machine has to be profiled before."""
    examined = [(name, *_examined(name)) for file in files for name in named(file)]
    found = list(dict.fromkeys(d for _, _, errors in examined for d in errors))
    pages = {str(file): page for file, page, _ in examined if page is not None}
    timed = {} if found else _timed(pages, target, max_latency, of)
    slow = [d for latencies in timed.values() for _, d in latencies if d is not None]
    code = ERROR if found else DIFFERS if slow else 0
    warned = [] if found else [w for page in pages.values() for w in api.page_warnings(page)]
    if found or format in (Findings.sarif, Findings.github):
        report([*found, *slow, *warned], format)
        raise typer.Exit(code)
    if format is Findings.json:
        listed = [
            {"file": file, "items": _items(page, timed.get(file, []))}
            for file, page in pages.items()
        ]
        emit({"files": listed, "warnings": [w.to_json() for w in warned]}, slow)
        raise typer.Exit(code)
    for file, page in pages.items():
        latencies = timed.get(file, [])
        state = "ok" if all(latency.ok for latency, _ in latencies) else "too slow"
        items = ", ".join(f"{page.kind(name)} {name}" for name in page.names) or _blocks(page)
        print(wrapped(f"{file}: {state} ({items})", "    "))
        for latency, _ in latencies:
            which = "" if latency.of == "model" else f", its {latency.of} network"
            said = (
                f"  {latency.item}{which}: {latency.latency_ms:.4g} ms on {latency.target} "
                f"({latency.coverage}), at most {latency.max_ms:g} ms"
            )
            print(wrapped(said, "    "))
    report([*warned, *slow], format)
    raise typer.Exit(code)


def _blocks(page: Page) -> str:
    """How many blocks a page without items has; other pages can use them."""
    count = sum(node.rule == "block" for node in page.items.values())
    return f"{count} block{'s' * (count != 1)}" if count else "nothing in it yet"


def _examined(name: str) -> tuple[Page | None, tuple[Diagnostic, ...]]:
    if name != STDIN:
        return api.examine(name)
    try:
        page = Loader().open_source(read_stdin(), Path())
    except SpaceError as error:
        return None, error.diagnostics
    return page, api.page_errors(page)


Timed = list[tuple[Checked, Diagnostic | None]]


def _timed(
    pages: dict[str, Page], target: str | None, max_latency: str | None, of: Of
) -> dict[str, Timed]:
    if target is None and max_latency is None:
        return {}
    if target is None or max_latency is None:
        message = "--target and --max-latency belong together"
        raise fault("missing-option", message, "write --target cpu --max-latency 15ms")
    gate = open_gate(target, max_latency, of)
    return {file: list(checked(page, gate)) for file, page in pages.items()}


def _items(page: Page, timed: Timed) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    latencies = {latency.item: latency for latency, _ in timed}
    for name in page.names:
        item = page.get(name)
        entry: dict[str, Any] = {"kind": page.kind(name), "name": name}
        if isinstance(item, Space):
            entry["hash"] = space_identity(item)
        elif isinstance(item, Subnet):
            entry["hash"] = subnet_identity(item)
        if name in latencies:
            entry["latency"] = latencies[name].to_json()
        items.append(entry)
    return items
