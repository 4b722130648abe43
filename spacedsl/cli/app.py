"""The `spacedsl` command. Only what the command line names is imported."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import typer

from spacedsl.cli.boundary import INTERRUPTED, Commands, guarded
from spacedsl.version import __version__

GARBAGE = 50_000
"""New objects after which garbage is looked for. A page's trees hold none, and are as large."""

COMMANDS = {
    "check": "check:check",
    "fmt": "fmt:fmt",
    "explain": "explain:explain",
    "show": "show:show",
    "diff": "diff:diff",
    "covers": "covers:covers",
    "which": "which:which",
    "sample": "sample:sample",
    "import": "import_:import_code",
    "convert": "convert:convert",
    "score": "score:score",
    "evolve": "evolve:evolve",
    "optimum": "optimum:optimum",
    "compile": "compile:compile_page",
    "export": "export:export",
    "plan": "plan:plan",
    "distill": "distill:distill",
    "train": "train:train",
    "search": "search:search",
    "eval": "eval:evaluate",
    "bench": "bench:bench",
    "doctor": "doctor:doctor",
    "lsp": "lsp:lsp",
    "tables": "tables:tables",
    "target": "target:target",
    "analyze": "analyze:analyze",
    "git": "git:git",
}
"""Command -> its file here and its function, or the group of commands of its own."""


def _version(asked: bool) -> None:
    if asked:
        print(f"spacedsl {__version__}")
        raise typer.Exit


def options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Search spaces for INT8 networks as pages of text."""


def application(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="spacedsl",
        cls=Commands,
        help="Search spaces for INT8 networks as pages of text.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(options)
    for name in names:
        file, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"spacedsl.cli.{file}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(guarded(found))
    return app


def __getattr__(name: str) -> Any:
    """`app`: the command line with all commands."""
    if name != "app":
        raise AttributeError(name)
    return application(COMMANDS)


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(GARBAGE)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        application((first,) if first in COMMANDS else COMMANDS)()
    except KeyboardInterrupt:  # before a command began
        sys.exit(INTERRUPTED)
