"""spacedsl analyze: what a device likes in 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from spacedsl import api
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.limits import parse_seconds
from spacedsl.cli.options import ON, TARGET
from spacedsl.cli.watch import Terminal
from spacedsl.figures import duration
from spacedsl.flows.watch import Show, announced


def analyze(
    target: str = TARGET,
    budget: str = typer.Option("3m", "--budget", help="Time to measure, e.g. 3m or 90s."),
    part: list[AnalysisPart] | None = typer.Option(
        None, "--part", help="Only this part; may be said again."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="A folder for CSV, pictures and the machine's description."
    ),
    on: str | None = ON,
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Measure which operators, block types and models gain from INT8 on a target, and list what it
    likes and dislikes."""
    from spacedsl.analysis.analyse import analyse
    from spacedsl.analysis.folder import make_folder, write_folder
    from spacedsl.analysis.report import as_json, as_text
    from spacedsl.hosts.where import host_at
    from spacedsl.report.analyze import analyze_report
    from spacedsl.targets.said import require_host

    check_html(html, [target])
    found, seconds = api.load_target(target), parse_seconds(budget)
    require_host(found, on)
    parts = list(dict.fromkeys(part or AnalysisPart))
    if out is not None:
        make_folder(out)
    note = f"INT8 and FP32 networks, about {duration(seconds)}"
    measuring = announced(Terminal(), f"analyzing {found.name}", note)
    with host_at(on) as host, measuring if found.measured else _asking() as show:

        def report(part: AnalysisPart, share: float) -> None:
            show((parts.index(part) + share) / len(parts), part.value)

        analysis = analyse(found, parts, seconds, report, host)
        machine = host.machine
    if out is not None and not write_folder(analysis, out):
        print("no pictures: they need `pip install 'spacedsl[plot]'`", file=sys.stderr)
    if format is Format.json:
        emit(as_json(analysis))
    else:
        print(as_text(analysis), end="")
    made = made_by(found, machine=machine)
    write_html(html, lambda: analyze_report(analysis, made), quiet=format is Format.json)


@contextmanager
def _asking() -> Iterator[Show]:
    """A table answers at once."""
    yield lambda done, *said: None
