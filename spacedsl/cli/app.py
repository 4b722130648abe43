"""The `spacedsl` command."""

from __future__ import annotations

import typer

from spacedsl import __version__
from spacedsl.cli.bench import bench
from spacedsl.cli.boundary import Commands, guarded
from spacedsl.cli.check import check
from spacedsl.cli.compile import compile_page
from spacedsl.cli.covers import covers
from spacedsl.cli.diff import diff
from spacedsl.cli.distill import distill
from spacedsl.cli.doctor import doctor
from spacedsl.cli.eval import evaluate
from spacedsl.cli.evolve import evolve
from spacedsl.cli.explain import explain
from spacedsl.cli.export import export
from spacedsl.cli.fmt import fmt
from spacedsl.cli.git import git
from spacedsl.cli.import_ import import_code
from spacedsl.cli.optimum import optimum
from spacedsl.cli.sample import sample
from spacedsl.cli.score import score
from spacedsl.cli.show import show
from spacedsl.cli.tables import tables
from spacedsl.cli.train import train
from spacedsl.cli.which import which

app = typer.Typer(
    name="spacedsl",
    cls=Commands,
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
    ("explain", explain),
    ("show", show),
    ("diff", diff),
    ("covers", covers),
    ("which", which),
    ("sample", sample),
    ("import", import_code),
    ("score", score),
    ("evolve", evolve),
    ("optimum", optimum),
    ("compile", compile_page),
    ("export", export),
    ("distill", distill),
    ("train", train),
    ("eval", evaluate),
    ("bench", bench),
    ("doctor", doctor),
):
    app.command(name)(guarded(command))
app.add_typer(tables, name="tables")
app.add_typer(git, name="git")


def main() -> None:
    """Entry point of the console script."""
    app()
