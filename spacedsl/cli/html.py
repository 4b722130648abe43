"""The option `--html` of commands: their result as a page to look at."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.report.parts import Made, Report
    from spacedsl.runtimes.machine import Machine

HTML = typer.Option(
    None, "--html", metavar="FILE", help="Also write the result as a page to look at: one file."
)


def check_html(path: Path | None, inputs: Iterable[str | Path] = ()) -> None:
    """Raises `SpaceError` where the page could not be written, or would take the place of what the
    command reads or writes: before the work whose result it is to show."""
    if path is None:
        return
    check_writable(path)
    for other in inputs:
        if realpath(path) == realpath(api.split_item(str(other))[0]):
            raise fault("same-file", f"--html would overwrite {other}", "name another file")


def write_html(path: Path | None, made: Callable[[], Report], *, quiet: bool) -> None:
    """Write the page that `made` makes, and say so unless it is to be quiet."""
    if path is None:
        return
    from spacedsl.report.render import html

    write_atomic(path, html(made()))
    if not quiet:
        print(f"report in {path}")


def made_by(*targets: Target, seed: int | None = None, machine: Machine | None = None) -> Made:
    """How a result was made: the command line, the seed, the devices, and the machine that was
    measured, this one unless another is named."""
    from spacedsl.report.parts import Made
    from spacedsl.runtimes.machine import this_machine

    facts = [] if seed is None else [("seed", str(seed))]
    facts += [("target", f"{target.name}: {target.device}") for target in targets]
    if any(target.measured for target in targets):
        facts.append(("machine", machine_said(machine or this_machine())))
    return Made(shlex.join(["spacedsl", *sys.argv[1:]]), tuple(facts))


def machine_said(machine: Machine) -> str:
    """A CPU, and what of it counts in 8 bits."""
    return f"{machine.cpu} ({', '.join(machine.features or ['features not known'])})"
