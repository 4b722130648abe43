"""The `spacedsl` command. Only what the command line names is imported."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

from spacedsl.cli.boundary import (
    ERROR,
    Commands,
    Format,
    guarded,
    io_fault,
    open_streams,
    report_failure,
)
from spacedsl.cli.command import Command, told
from spacedsl.cli.commands import COMMANDS, ELSEWHERE
from spacedsl.cli.help import TITLE, epilog, first_screen, write_groups
from spacedsl.diagnostics import suggest
from spacedsl.version import __version__


class Imported(Mapping[str, Any]):
    """Every command; one is imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Root(Commands):
    """The commands by group."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = Imported()  # type: ignore[assignment]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that a command line begins with."""
        name = args[0]
        if name not in COMMANDS:
            same = next((said for said, words in ELSEWHERE.items() if name in words.split()), None)
            meant = same or suggest(name, COMMANDS)
            hint = f"`spacedsl {meant}` does that" if same else f"did you mean `{meant}`?"
            ctx.fail(f"there is no command `{name}`" + (f": {hint}" if meant else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """List them in the help text, without importing them."""
        write_groups(formatter)


@functools.cache
def _command(name: str) -> Any:
    """A command as typer makes it of its function, or of its group of commands. Raises
    `KeyError`."""
    file, _, attribute = COMMANDS[name].at.partition(":")
    found = getattr(import_module(f"spacedsl.cli.{file}"), attribute)
    holder = typer.Typer(rich_markup_mode=None, add_completion=False)
    holder.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        holder.add_typer(told(found), name=name)
    else:
        holder.command(name, cls=Command, epilog=epilog(name))(guarded(found))
    made = typer.main.get_command(holder)
    return made.commands[name]  # type: ignore[attr-defined]


def _version(asked: bool) -> None:
    if asked:
        print(f"spacedsl {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="spacedsl",
    cls=Root,
    help=TITLE,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", "-V", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Search spaces for INT8 networks as pages of text."""
    if ctx.invoked_subcommand is None:
        print(first_screen())


def main() -> None:
    """Run the command line."""
    open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:  # typer ends with 1 where nobody reads a help text
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        sys.exit(0)
    except OSError as error:  # of help texts, which no command prints
        report_failure([io_fault(error)], Format.text)
        sys.exit(ERROR)
