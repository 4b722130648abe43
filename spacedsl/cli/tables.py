"""spacedsl tables: published or measured tables, verified and fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit, guarded
from spacedsl.files import check_writable

if TYPE_CHECKING:
    from spacedsl.tables.verify import Report

tables = typer.Typer(
    help="Read, verify and fit tables of sub-stages.", no_args_is_help=True, rich_markup_mode=None
)

DIRECTORY = typer.Argument(..., help="A directory of stage<stage>_<block>_<window>.csv files.")
HYPER = typer.Option(..., "--hyper", help="The hyperspace that the tables are of.")
USED = "a table by name or path; else the one the hyperspace names."


@tables.command("verify")
@guarded
def verify(
    directory: Path = DIRECTORY,
    hyper: str = HYPER,
    latency: str | None = typer.Option(None, "--latency", help=f"Fitted latencies: {USED}"),
    quality: str | None = typer.Option(None, "--quality", help=f"Fitted losses: {USED}"),
    held_out: bool = typer.Option(
        False, "--held-out", help="Fit four fifths of the rows afresh, judge by the others."
    ),
    format: Format = FORMAT,
) -> None:
    """Compare every row with the cost pass and with the fitted tables in use."""
    from spacedsl.tables import rows
    from spacedsl.tables.files import fitted_models, load_latency, load_quality
    from spacedsl.tables.fit import fit_directory
    from spacedsl.tables.verify import verify as compare
    from spacedsl.targets.scorers import quality_name

    space = api.load_space(hyper)
    found = rows.read_directory(directory, space)
    if held_out:
        table = fit_directory(directory, space, hold_out=True)
        found = rows.held_out(found)
        report = compare(found, space, *fitted_models(table))
    else:
        named = quality_name(space, quality)
        report = compare(found, space, load_latency(latency or named), load_quality(named))
    if format is Format.json:
        emit(report.to_json())
    else:
        _print(report)


@tables.command("fit")
@guarded
def fit(
    directory: Path = DIRECTORY,
    hyper: str = HYPER,
    out: Path = typer.Option(..., "--out", help="The file to write."),
    teacher: str = typer.Option("unknown", "--teacher", help="The teacher of the distillation."),
    nsr: str = typer.Option("unknown", "--nsr", help="NSR loss: student- or teacher-variance."),
    device: str = typer.Option("unknown", "--device", help="The device of the latencies."),
    provenance: str = typer.Option("", "--provenance", help="Where the rows come from."),
    licence: str = typer.Option("", "--licence", help="The licence of the rows."),
    format: Format = FORMAT,
) -> None:
    """Fit latencies and NSR losses to a directory of tables, into one file; or the losses of a
    distillation's folder, which says itself what they are of."""
    from spacedsl.tables.distilled import fit_run, is_run
    from spacedsl.tables.files import save_table
    from spacedsl.tables.fit import fit_directory

    check_writable(out)
    space = api.load_space(hyper)
    if is_run(directory):
        table = fit_run(directory, space)
    else:
        table = fit_directory(
            directory,
            space,
            device=device,
            teacher=teacher,
            nsr=nsr,
            provenance=provenance,
            licence=licence,
        )
    save_table(table, out)
    if format is Format.json:
        emit({"rows": table.source.rows, "hyperspace": table.source.hyperspace_hash})
    else:
        print(f"{out}: fitted to {table.source.rows:,} rows")


def _print(report: Report) -> None:
    lat, quality = report.latency, report.quality
    print(f"rows      {report.rows:,}")
    print(f"FLOPs     largest relative error {report.flops.max_rel_error:.2e}")
    print(f"params    largest error {report.params.max_abs_error:.2e} million")
    print(
        f"latency   {lat.covered:.2%} covered; within 1 % {lat.within_1:.2%}, "
        f"5 % {lat.within_5:.2%}, 10 % {lat.within_10:.2%} of all rows"
    )
    print(f"quality   R2 {quality.r2:.3f}, Kendall's tau {quality.tau:.3f} (means over cells)")
    for cell in quality.cells:
        print(
            f"  stage{cell.stage} {cell.block:<14} R2 {cell.r2:6.3f}  tau {cell.tau:6.3f}  "
            f"{cell.rows:,} rows"
        )
