"""spacedsl tables: published or measured tables, verified and fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit, guarded
from spacedsl.cli.help import epilog
from spacedsl.cli.progress import working
from spacedsl.cli.table_networks import TOP1
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_writable

if TYPE_CHECKING:
    from spacedsl.tables.verify import Report

tables = typer.Typer(
    help="Read, verify and fit tables of sub-stages or of whole networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DIRECTORY = typer.Argument(None, help="A directory of stage<stage>_<block>_<window>.csv files.")
HYPER = typer.Option(..., "--hyper", help="The hyperspace that the tables are of.")
USED = "a table by name or path; else the one the hyperspace names."
ACCURACIES = typer.Option(
    None,
    "--accuracies",
    help="Trained networks instead of a directory: a CSV whose first column is `code` or `page`, "
    "with an accuracy in percent, or the search.jsonl of a `spacedsl search`.",
)
COLUMN = typer.Option(None, "--column", help=f"The CSV's column of numbers; else {TOP1}.")
WEIGHTS = typer.Option(None, "--weight-column", help="The CSV's column of weights.")


def _one_source(*sources: Path | None) -> None:
    """Raises `SpaceError` unless there is one source."""
    if sum(source is not None for source in sources) != 1:
        message = "say one source: a directory, --accuracies or (to fit) --latencies"
        raise fault("bad-option", message)


@tables.command("verify", epilog=epilog("tables verify"))
@guarded
def verify(
    directory: Path | None = DIRECTORY,
    hyper: str = HYPER,
    latency: str | None = typer.Option(None, "--latency", help=f"Fitted latencies: {USED}"),
    quality: str | None = typer.Option(None, "--quality", help=f"Fitted losses: {USED}"),
    held_out: bool = typer.Option(
        False, "--held-out", help="Fit four fifths of the rows afresh, judge by the others."
    ),
    accuracies: Path | None = ACCURACIES,
    column: str | None = COLUMN,
    weight_column: str | None = WEIGHTS,
    format: Format = FORMAT,
) -> None:
    """Compare every row with the cost pass and with the fitted tables in use, or accuracies with
    what a quality table predicts."""
    from spacedsl.cli.table_networks import verify_accuracies
    from spacedsl.tables import rows
    from spacedsl.tables.files import fitted_models, load_latency, load_quality
    from spacedsl.tables.fit import fit_directory
    from spacedsl.tables.verify import verify as compare
    from spacedsl.targets.open_scorer import quality_name

    _one_source(directory, accuracies)
    space = api.load_space(hyper)
    if accuracies is not None:
        verify_accuracies(accuracies, space, (column or TOP1, weight_column), quality, format)
        return
    if directory is None:
        raise AssertionError("there is one source")
    found = rows.read_directory(directory, space)
    if held_out:
        with working("fitting four fifths of the rows, about half a minute for 100,000"):
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


@tables.command("fit", epilog=epilog("tables fit"))
@guarded
def fit(
    directory: Path | None = DIRECTORY,
    hyper: str = HYPER,
    out: Path = typer.Option(..., "--out", help="The file to write."),
    teacher: str = typer.Option("unknown", "--teacher", help="The teacher of the distillation."),
    nsr: str = typer.Option("unknown", "--nsr", help="NSR loss: student- or teacher-variance."),
    device: str = typer.Option("unknown", "--device", help="The device of the latencies."),
    provenance: str = typer.Option("", "--provenance", help="Where the rows come from."),
    licence: str = typer.Option("", "--licence", help="The licence of the rows."),
    accuracies: Path | None = ACCURACIES,
    latencies: Path | None = typer.Option(
        None, "--latencies", help="Measured networks instead: a CSV as for --accuracies, in ms."
    ),
    column: str | None = COLUMN,
    weight_column: str | None = WEIGHTS,
    format: Format = FORMAT,
) -> None:
    """Fit latencies and NSR losses to a directory of tables, into one file; or the losses of a
    distillation's folder, which says itself what they are of; or accuracies of trained networks
    (--accuracies), which are a quality table of their own; or latencies of measured networks
    (--latencies; columns that end in _img_s hold images a second)."""
    from spacedsl.cli.table_networks import fit_accuracies, fit_latencies, say_next_of_quality
    from spacedsl.tables.distilled import fit_run, is_run
    from spacedsl.tables.files import save_table
    from spacedsl.tables.fit import fit_directory

    check_writable(out)
    _one_source(directory, accuracies, latencies)
    space = api.load_space(hyper)
    if accuracies is not None:
        columns = (column or TOP1, weight_column)
        fit_accuracies(accuracies, space, columns, (provenance, licence), out, format)
        if format is Format.text:
            say_next_of_quality(hyper, out)
        return
    if latencies is not None:
        if column is None:
            raise fault("missing-option", "--latencies needs --column, the device's")
        fit_latencies(latencies, space, column, (device, provenance, licence), out, format)
        return
    if directory is None:
        raise AssertionError("there is one source")
    if is_run(directory):
        table = fit_run(directory, space)
    else:
        with working("fitting tables, about half a minute for 100,000 rows") as tell:
            table = fit_directory(
                directory,
                space,
                device=device,
                teacher=teacher,
                nsr=nsr,
                provenance=provenance,
                licence=licence,
                tell=tell,
            )
    save_table(table, out)
    if format is Format.json:
        emit({"rows": table.source.rows, "hyperspace": table.source.hyperspace_hash})
    else:
        print(f"{out}: fitted to {counted(table.source.rows, 'row')}")
        say_next_of_quality(hyper, out)


@tables.command("calibrate", epilog=epilog("tables calibrate"))
@guarded
def calibrate(
    table: str = typer.Argument(..., help="A table of NSR losses, by name or path."),
    accuracies: Path = typer.Option(..., "--accuracies", help="A CSV of pages and accuracies."),
    hyper: str | None = typer.Option(
        None, "--hyper", help="The hyperspace of the pages; else the one the table is of."
    ),
    out: Path | None = typer.Option(None, "--out", help="The file to write; else the table's."),
    column: str | None = COLUMN,
    weight_column: str | None = WEIGHTS,
    format: Format = FORMAT,
) -> None:
    """Say what a table's losses are worth: fit top-1 in percent to loss and resolution of networks
    with known accuracies. Scores are then predicted accuracies."""
    from spacedsl.cli.table_networks import calibrate_table

    columns = (column or TOP1, weight_column)
    calibrate_table(table, accuracies, hyper, columns, out, format)


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
