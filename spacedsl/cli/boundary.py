"""Where commands meet people: output formats, errors, exit codes.

Exit codes: 0 fine, 1 differs or not formatted, 2 error, 130 interrupted. Where nobody reads the
output any more (`| head`), a command ends, says nothing and exits 0."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from spacedsl.cli.findings import annotation, sarif
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import Diagnostic, SpaceError, render
from spacedsl.files import mend
from spacedsl.interrupts import INTERRUPTED, raise_again
from spacedsl.passes.errors import BindError

DIFFERS = 1
ERROR = 2

P = ParamSpec("P")
R = TypeVar("R")


JSON_VERSION = 1
"""Of every JSON that commands print. It changes when a field goes or changes its meaning."""


class Format(StrEnum):
    """How results and errors are printed."""

    text = "text"
    json = "json"


class Findings(StrEnum):
    """How commands that look for errors print them."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


FORMAT = typer.Option(Format.text, "--format", help="Print text for people or JSON.")
FINDINGS = typer.Option(
    Findings.text, "--format", help="Print text, JSON, SARIF 2.1.0 or GitHub annotations."
)


def emit(payload: dict[str, Any], diagnostics: Iterable[Diagnostic] = ()) -> None:
    """A JSON result on standard output; every one has a list `diagnostics`."""
    found = [d.to_json() for d in diagnostics]
    print_json({"version": JSON_VERSION, **payload, "diagnostics": found})


def print_json(value: object) -> None:
    """JSON on standard output, in any encoding. Counts of subnets are exact, of any length."""
    most = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        text = json.dumps(value, indent=2)
    finally:
        sys.set_int_max_str_digits(most)
    print(text)


def report(diagnostics: Iterable[Diagnostic], format: StrEnum) -> None:
    """Errors: text on standard error, everything else on standard output."""
    found = list(diagnostics)
    if format == Findings.json:
        emit({}, found)
    elif format == Findings.sarif:
        print_json(sarif([d.to_json() for d in found]))
    elif format == Findings.github:
        for diagnostic in found:
            print(annotation(diagnostic.to_json()))
    else:
        for diagnostic in found:
            print(_fitted(render(diagnostic.to_json())), file=sys.stderr)


def _fitted(text: str) -> str:
    """A rendered error whose sentences fit a terminal; what it shows of a page stays as it is."""
    lines = text.splitlines()
    shown = (line if EXCERPT.match(line) else wrapped(line, "    ", sys.stderr) for line in lines)
    return "\n".join(shown)


EXCERPT = re.compile(r" +[0-9]* \|")


def format_asked(args: Sequence[str]) -> Findings:
    """The output format that a command line asks for, right or wrong as it may be."""
    for word, value in zip_longest(args, args[1:], fillvalue=""):
        chosen = value if word == "--format" else word.removeprefix("--format=")
        if word.startswith("--format") and chosen in Findings.__members__:
            return Findings(chosen)
    return Findings.text


UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for a wrong command line; it has no public name of its own."""


class Commands(TyperGroup):
    """The commands. A wrong command line is a diagnostic too, in the format it asks for."""

    def main(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        """Run a command line; exits."""
        words = sys.argv[1:] if args is None else list(args)
        format = format_asked(words)
        if format is Findings.text or not options.pop("standalone_mode", True):
            return super().main(args=words, **options)
        try:
            code = super().main(args=words, standalone_mode=False, **options)
        except UsageError as error:
            said = getattr(error, "format_message", None)
            message = said() if said is not None else str(error)
            help = "`spacedsl --help` lists commands, `spacedsl COMMAND --help` their options"
            report_failure([Diagnostic("usage", message, help=help)], format)
            code = ERROR
        sys.exit(code if isinstance(code, int) else 0)


def lacks_memory(error: Exception) -> bool:
    """Whether the machine's memory or the accelerator's does not suffice; PyTorch says so in
    words only."""
    said = ("out of memory", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    )


def _no_memory(error: Exception, asked: Mapping[str, Any]) -> Diagnostic:
    """What does not fit, and what would need less."""
    wanted = re.search(r"([0-9]+(?:\.[0-9]+)?)\.? ?([KMGT]i?B|bytes)", str(error))
    where = "accelerator's memory" if "CUDA" in str(error) else "memory"
    more = f", {wanted[1]} {wanted[2]} more were asked for" if wanted else ""
    message = f"the {where} does not suffice{more}"
    help = "end what else needs memory, or take a machine with more"
    if "batch" in asked:
        help = f"a smaller --batch needs less, and so does a lower resolution; else {help}"
    return Diagnostic("no-memory", message, help=help)


def _defect(error: Exception) -> Diagnostic:
    """Whatever no code of ours expected: still one error, with what is needed to report it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    message = f"{type(error).__name__} in {where}: {error}"[:500]
    return Diagnostic("internal", message, help="this is a defect of spacedsl; please report it")


def _format_of(chosen: object) -> StrEnum:
    """How a command prints, from its option `--format`, which may be said several times."""
    said = chosen if isinstance(chosen, list) else [chosen]
    words = (str(word) for word in said)
    known = (Findings(word) for word in words if word in Findings.__members__)
    return next(known, Findings.text)


def discard_output() -> None:
    """Let nothing be written to a pipe that nobody reads: not what is still held either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_failure(found: Sequence[Diagnostic], format: StrEnum) -> None:
    """Report errors that end a command. Where standard output cannot be written, they go to
    standard error as text."""
    try:
        report(found, format)
        sys.stdout.flush()
    except OSError as error:
        discard_output()
        if not isinstance(error, BrokenPipeError):
            report(found, Findings.text)


def io_fault(error: OSError) -> Diagnostic:
    """What the system refuses, as an error."""
    name = f"{error.filename}: " if error.filename else ""
    return Diagnostic("io", f"{name}{error.strerror or error}", help=mend(error))


def open_streams() -> None:
    """Open what a shell closed (`>&-`): else the next file that is opened takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


KEEPS = {"profile": "what was measured is kept, and the same command goes on from there"}
"""What an interrupted command leaves, where no option says so."""


def _how_to_go_on(name: str, asked: Mapping[str, Any]) -> str:
    """After `interrupted`: what is kept of a command's work, and how to go on with it."""
    if name in KEEPS:
        return f"; {KEEPS[name]}"
    if "resume" not in asked:
        return ""
    if "journal" in asked and asked["journal"] is None:
        return "; nothing is kept of a search without --journal FILE"
    return "; the same command with --resume goes on from the last state that was written"


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose expected failures become diagnostics and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        format = _format_of(kwargs.get("format"))
        try:
            raise_again()
            found = command(*args, **kwargs)
            sys.stdout.flush()
            return found
        except SpaceError as error:
            report_failure(error.diagnostics, format)
        except BindError as error:
            report_failure([Diagnostic("bad-body", str(error))], format)
        except BrokenPipeError:
            discard_output()
            raise typer.Exit from None
        except OSError as error:
            report_failure([io_fault(error)], format)
        except KeyboardInterrupt:
            print(f"interrupted{_how_to_go_on(command.__name__, kwargs)}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except typer.Exit:
            raise
        except Exception as error:
            wrong = _no_memory(error, kwargs) if lacks_memory(error) else _defect(error)
            report_failure([wrong], format)
        raise typer.Exit(ERROR)

    return run
