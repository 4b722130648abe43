"""Where commands meet people: output formats, errors, exit codes.

Exit codes: 0 fine, 1 differs or not formatted, 2 error, 130 interrupted."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

import typer

from spacedsl.diagnostics import Diagnostic, SpaceError, render
from spacedsl.passes.bind import BindError

DIFFERS = 1
ERROR = 2
INTERRUPTED = 130

P = ParamSpec("P")
R = TypeVar("R")


class Format(StrEnum):
    """How results and errors are printed."""

    text = "text"
    json = "json"


FORMAT = typer.Option(Format.text, "--format", help="Print text for people or JSON.")


def emit(payload: dict[str, Any], diagnostics: Iterable[Diagnostic] = ()) -> None:
    """A JSON result on standard output; every one has a list `diagnostics`."""
    found = [d.to_json() for d in diagnostics]
    print(json.dumps({**payload, "diagnostics": found}, indent=2, ensure_ascii=False))


def report(diagnostics: Iterable[Diagnostic], format: Format) -> None:
    """Errors: text on standard error, JSON on standard output."""
    if format is Format.json:
        emit({}, diagnostics)
        return
    for diagnostic in diagnostics:
        print(render(diagnostic.to_json()), file=sys.stderr)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose expected failures become diagnostics and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        chosen = kwargs.get("format", Format.text)
        format = chosen if isinstance(chosen, Format) else Format.text
        try:
            return command(*args, **kwargs)
        except SpaceError as error:
            report(error.diagnostics, format)
        except BindError as error:
            report([Diagnostic("bad-body", str(error))], format)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            report([Diagnostic("io", f"{name}{error.strerror or error}")], format)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(ERROR)

    return run
