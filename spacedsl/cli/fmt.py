"""spacedsl fmt: pages in their one canonical layout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import typer

from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit
from spacedsl.files import write_atomic
from spacedsl.lang.page import read_source
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source


def fmt(
    files: list[str] = typer.Argument(..., help="Pages to format; - for standard input."),
    check: bool = typer.Option(False, "--check", help="Write nothing; exit 1 if not formatted."),
    diff: bool = typer.Option(False, "--diff", help="Write nothing; print what would change."),
    format: Format = FORMAT,
) -> None:
    """Format pages in place. Comments are kept; there are no options of style."""
    sources = [_read(name) for name in files]
    texts = [format_text(source) for source in sources]  # all or none: errors before any write
    changed = [s for s, text in zip(sources, texts, strict=True) if s.text != text]
    for source, text in zip(sources, texts, strict=True):
        if diff and source.text != text and format is Format.text:
            print(_diff(source, text), end="")
        if check or diff:
            continue
        if source.name == "-":
            print(text, end="")
        elif source.text != text:
            write_atomic(Path(source.name), text)
    if format is Format.json and "-" not in files:
        emit({"changed": [s.name for s in changed], "files": files})
    elif check and not diff:
        for source in changed:
            print(f"{source.name}: not formatted")
    if changed and (check or diff):
        raise typer.Exit(DIFFERS)


def _read(name: str) -> Source:
    if name == "-":
        return Source("-", sys.stdin.read())
    return read_source(Path(name))


def _diff(source: Source, text: str) -> str:
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True),
        text.splitlines(keepends=True),
        source.name,
        f"{source.name} (formatted)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
