"""spacedsl analyze: what a device likes in 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.analysis.cases import Part
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.limits import parse_seconds
from spacedsl.cli.options import TARGET
from spacedsl.cli.progress import progress

if TYPE_CHECKING:
    from spacedsl.analysis.measured import Report


def analyze(
    target: str = TARGET,
    budget: str = typer.Option("3m", "--budget", help="Time to measure, e.g. 3m or 90s."),
    part: list[Part] | None = typer.Option(
        None, "--part", help="Only this part; may be said again."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="A folder for CSV, pictures and the machine's description."
    ),
    format: Format = FORMAT,
) -> None:
    """Measure which operators, block types and models gain from INT8 on a target, and list what it
    likes and dislikes."""
    from spacedsl.analysis.analyse import analyse
    from spacedsl.analysis.folder import make_folder, write_folder
    from spacedsl.analysis.report import as_json, as_text

    found, seconds = api.load_target(target), parse_seconds(budget)
    parts = list(dict.fromkeys(part or Part))
    if out is not None:
        make_folder(out)
    with _bar(found.name, len(parts), quiet=format is Format.json) as report:
        analysis = analyse(found, parts, seconds, report)
    if out is not None and not write_folder(analysis, out):
        print("no pictures: they need `pip install 'spacedsl[plot]'`", file=sys.stderr)
    if format is Format.json:
        emit(as_json(analysis))
    else:
        print(as_text(analysis), end="")


@contextmanager
def _bar(name: str, parts: int, *, quiet: bool) -> Iterator[Report]:
    """What shows how much of all parts is done."""
    with progress(f"analyzing {name}", parts, quiet=quiet) as bar:
        done: dict[Part, float] = {}

        def report(part: Part, share: float) -> None:
            done[part] = share
            bar(sum(done.values()), part.value)

        yield report
