"""The `spacedsl` command."""

from __future__ import annotations

import typer

from spacedsl import __version__
from spacedsl.cli.boundary import guarded
from spacedsl.cli.check import check
from spacedsl.cli.covers import covers
from spacedsl.cli.diff import diff
from spacedsl.cli.evolve import evolve
from spacedsl.cli.fmt import fmt
from spacedsl.cli.import_ import import_code
from spacedsl.cli.sample import sample
from spacedsl.cli.score import score
from spacedsl.cli.show import show
from spacedsl.cli.tables import tables

app = typer.Typer(
    name="spacedsl",
    help="Search spaces for INT8 networks as pages of text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"spacedsl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Search spaces for INT8 networks as pages of text."""


for name, command in (
    ("check", check),
    ("fmt", fmt),
    ("show", show),
    ("diff", diff),
    ("covers", covers),
    ("sample", sample),
    ("import", import_code),
    ("score", score),
    ("evolve", evolve),
):
    app.command(name)(guarded(command))
app.add_typer(tables, name="tables")


def main() -> None:
    """Entry point of the console script."""
    app()
