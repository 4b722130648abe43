"""What measuring needs of a machine, whichever it is.

Sessions are opened and timed there, a whole round at a time; what is done with the times is the
same for all."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol

from spacedsl.hosts.measure import CLOCKS, Take, by
from spacedsl.runtimes.machine import Machine, this_machine
from spacedsl.runtimes.record import Profiled, Run, Runtime
from spacedsl.runtimes.table import named, need


class Host(Protocol):
    """A machine that opens sessions and times them. A model is a file's content or its path. What
    is opened stays open as long as it is referred to. All raise `SpaceError`, also where the
    machine is no longer reached."""

    @property
    def name(self) -> str:
        """As messages name it."""

    @property
    def machine(self) -> Machine:
        """Its CPU and the packages there."""

    def version(self, runtime: Runtime) -> str:
        """Of a runtime there. Raises `SpaceError` where there is none."""

    def open(self, runtime: Runtime, model: bytes | Path, threads: int, seed: int = 0) -> Run:
        """One inference at batch 1 on the random input of `seed`."""

    def require_nodes(self, runtime: Runtime) -> None:
        """Raises `SpaceError` where nodes of a network are not timed there, so that a profile is
        refused before anything is built for it."""

    def profiled(self, runtime: Runtime, model: bytes, threads: int, folder: Path) -> Profiled:
        """The same, its nodes timed; `folder` is for files of this run on this machine."""

    def rounds(self, clock: str) -> Take:
        """What times a round there, by its clock `cpu` or `wall`."""


class ThisMachine:
    """The machine that this process runs on."""

    name = "this machine"

    @property
    def machine(self) -> Machine:
        """Its CPU and the packages here."""
        return this_machine()

    def version(self, runtime: Runtime) -> str:
        """Of the installed package."""
        return need(runtime)

    def open(self, runtime: Runtime, model: bytes | Path, threads: int, seed: int = 0) -> Run:
        """One inference in this process."""
        return runtime.sessions.timed(model, threads, options_here(runtime.name), seed)

    def require_nodes(self, runtime: Runtime) -> None:
        """All runtimes time nodes here."""

    def profiled(self, runtime: Runtime, model: bytes, threads: int, folder: Path) -> Profiled:
        """The same, its nodes timed."""
        return runtime.sessions.profiled(model, threads, options_here(runtime.name), folder)

    def rounds(self, clock: str) -> Take:
        """One after the other, in this thread."""
        return by(CLOCKS[clock])


HERE = ThisMachine()


@cache
def options_here(name: str) -> dict[str, str]:
    """What this machine's sessions of a runtime set; asked for whenever one is opened."""
    return named(name).options(this_machine())
