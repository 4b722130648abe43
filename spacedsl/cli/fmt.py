"""spacedsl fmt: pages in their one canonical layout."""

from __future__ import annotations

import difflib
from pathlib import Path

import typer

from spacedsl.cli.boundary import DIFFERS, FINDINGS, Findings, emit, report
from spacedsl.cli.pages import STDIN, named, read_stdin
from spacedsl.diagnostics import Diagnostic, SpaceError, place
from spacedsl.files import write_atomic
from spacedsl.lang.library import read_source
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source, Span


def fmt(
    files: list[str] = typer.Argument(
        ..., help="Pages to format; a folder for those in it, - for standard input."
    ),
    check: bool = typer.Option(False, "--check", help="Write nothing; exit 1 if not formatted."),
    diff: bool = typer.Option(False, "--diff", help="Write nothing; print what would change."),
    format: Findings = FINDINGS,
) -> None:
    """Format pages in place. Comments are kept; there are no options of style."""
    names = [name for file in files for name in named(file)]
    sources = [_read(name) for name in names]
    texts = _format_all(sources)
    changed = [s for s, text in zip(sources, texts, strict=True) if s.text != text]
    for source, text in zip(sources, texts, strict=True):
        if diff and source.text != text and format is Findings.text:
            print(_diff(source, text), end="")
        if check or diff:
            continue
        if source.name == STDIN:
            print(text, end="")
        elif source.text != text:
            write_atomic(Path(source.name), text)
    if STDIN not in files or check:
        _report(changed, names, format, silent=not check or diff)
    if changed and (check or diff):
        raise typer.Exit(DIFFERS)


def _format_all(sources: list[Source]) -> list[str]:
    """All or none: every page's errors before any is written."""
    texts: list[str] = []
    errors: list[Diagnostic] = []
    for source in sources:
        try:
            texts.append(format_text(source))
        except SpaceError as error:
            errors += error.diagnostics
    if errors:
        raise SpaceError(errors)
    return texts


def _report(changed: list[Source], files: list[str], format: Findings, *, silent: bool) -> None:
    """What is not formatted, or what was not."""
    if format is Findings.json:
        emit({"changed": [s.name for s in changed], "files": files})
    elif format is Findings.text:
        for source in () if silent else changed:
            print(f"{source.name}: not formatted")
    else:
        report([] if silent else [_unformatted(s) for s in changed], format)


def _unformatted(source: Source) -> Diagnostic:
    where = place(source, Span(0, 0))
    help = "run `spacedsl fmt`"
    return Diagnostic("not-formatted", f"{source.name} is not formatted", where, help)


def _read(name: str) -> Source:
    return read_stdin() if name == STDIN else read_source(Path(name))


def _diff(source: Source, text: str) -> str:
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True),
        text.splitlines(keepends=True),
        source.name,
        f"{source.name} (formatted)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
