"""spacedsl tables, on lists of networks: accuracies, latencies, calibrations."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.cli.boundary import Format, emit
from spacedsl.cli.progress import counting, working
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl.tables.schema import AccuracyData, CalibrationData

TOP1 = "top1"
"""The column of accuracies, where none is named."""


def fit_accuracies(
    path: Path,
    space: Space,
    columns: tuple[str, str | None],
    origin: tuple[str, str],
    out: Path,
    format: Format,
) -> None:
    """Fit a quality table to accuracies. `columns`: accuracies and weights; `origin`: provenance
    and licence."""
    from spacedsl.tables.files import save_table
    from spacedsl.tables.fit_networks import accuracy_table, doubt
    from spacedsl.tables.networks import read_accuracies

    networks = read_accuracies(path, space, *columns)
    with counting("fitting accuracies", 1.0, quiet=format is Format.json) as told:
        table = accuracy_table(networks, space, *origin, told)
    save_table(table, out)
    if strange := doubt(networks):
        print(f"warning: {path}: {strange}", file=sys.stderr)
    if table.accuracy is None:
        raise AssertionError("it was just fitted")
    if format is Format.json:
        emit({"rows": table.source.rows, "accuracy": _facts(table.accuracy)})
    else:
        _print(table.accuracy, table.source.rows, out)


def _facts(data: AccuracyData) -> dict[str, object]:
    names = ("networks", "repeated", "form", "ceiling", "penalty", "r2", "tau", "sd", "optimism")
    return {name: getattr(data, name) for name in names}


def _print(data: AccuracyData, rows: int, out: Path) -> None:
    print(f"{out}: fitted to {counted(rows, 'row')} of {counted(data.networks, 'network')}")
    if data.repeated:
        several = f"{data.repeated:,} networks were" if data.repeated > 1 else "1 network was"
        print(f"repeats   {several} trained more than once: their mean counts")
    form = "each stage as a whole" if data.form == "stages" else "each block at its position"
    print(f"form      {form}, top-1 = {data.ceiling:.2f} - exp(sum), ridge {data.penalty:g}")
    print(
        f"held out  R2 {data.r2:.3f} (top-1), Kendall's tau {data.tau:.3f}, "
        f"error {data.sd:.2f} points (standard deviation);"
    )
    print(f"          those predicted best were {data.optimism:.2f} points worse than predicted")


def verify_accuracies(
    path: Path, space: Space, columns: tuple[str, str | None], quality: str | None, format: Format
) -> None:
    """Compare a list of accuracies with a quality table's predictions."""
    from spacedsl.tables.files import load_quality
    from spacedsl.tables.fit_networks import verify_accuracies as compare
    from spacedsl.tables.networks import read_accuracies
    from spacedsl.targets.open_scorer import quality_name

    model = load_quality(quality_name(space, quality))
    report = compare(read_accuracies(path, space, *columns), model)
    if format is Format.json:
        emit({"accuracy": asdict(report)})
        return
    print(f"rows      {report.rows:,}")
    print(
        f"accuracy  R2 {_figure(report.r2)} (top-1), Kendall's tau {_figure(report.tau)}, "
        f"error {report.sd:.2f} points (standard deviation)"
    )


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def fit_latencies(
    path: Path,
    space: Space,
    column: str,
    origin: tuple[str, str, str],
    out: Path,
    format: Format,
) -> None:
    """Fit a latency table to measured networks. `origin`: device, provenance and licence."""
    from spacedsl.tables.files import save_table
    from spacedsl.tables.fit_networks import latency_table
    from spacedsl.tables.networks import read_latencies

    networks = read_latencies(path, space, column)
    with working(f"fitting latencies of {counted(len(networks), 'network')}, twice"):
        found = latency_table(networks, space, *origin)
    save_table(found.table, out)
    rows = found.table.source.rows
    if format is Format.json:
        emit({"rows": rows, "latency": {"r2": found.r2, "within_5": found.within_5}})
        return
    print(f"{out}: fitted to {counted(rows, 'network')}")
    print(f"held out  R2 {found.r2:.4f}, {found.within_5:.1%} of the networks within 5 %")
    page = out.with_suffix(".space")
    print(f'Write {page}, a page of the target that says `latency "{out.name}"`.')
    say_next(command("target", "show", page))


def calibrate_table(
    name: str,
    path: Path,
    hyper: str | None,
    columns: tuple[str, str | None],
    out: Path | None,
    format: Format,
) -> None:
    """Calibrate the NSR losses of a table by accuracies; without `out` in its own file."""
    from spacedsl.lang.tables import shipped
    from spacedsl.tables.calibrate import calibrated
    from spacedsl.tables.files import load_table, save_table, table_path
    from spacedsl.tables.networks import read_accuracies

    if out is None and name in shipped():
        help = "the file to write; a hyperspace's page names it under `quality`"
        raise fault("missing-option", f"{name} comes with the package: say --out FILE", help)
    table, out = load_table(name), out or table_path(name)
    space = api.load_space(hyper or table.source.hyperspace)
    found = calibrated(table, read_accuracies(path, space, *columns))
    save_table(found, out)
    if found.calibration is None:
        raise AssertionError("it was just calibrated")
    if format is Format.json:
        emit({"calibration": found.calibration.model_dump(mode="json")})
    else:
        print_calibration(found.calibration, out)
        say_next_of_quality(hyper or table.source.hyperspace, out)


def say_next_of_quality(hyper: str, table: Path) -> None:
    """What follows a quality table: a search by it."""
    words = ("--hyper", hyper, "--target", "cpu", "--quality", table, "--out", "found.space")
    say_next(command("evolve", *words))


def print_calibration(data: CalibrationData, out: Path) -> None:
    """The calibration in words."""
    print(f"{out}: calibrated by {counted(len(data.models), 'model')}")
    print(f"fit       log(100 - top1) = {data.a:.3f} + {data.b:.3f} log(loss)")
    print(f"          + {data.c:.3f} log({data.r_max} / resolution)")
    print(
        f"error     {data.left_out:.2f} points for a model that was left out (root of the mean "
        "square)"
    )
