"""A flow watched on the command line: bars, notes and warnings on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from spacedsl.cli.progress import counting, working
from spacedsl.cli.words import wrapped
from spacedsl.flows.watch import Show


@dataclass(frozen=True, slots=True)
class Terminal:
    """`quiet`: no bars but those that are always shown, as beside JSON."""

    quiet: bool = False

    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> AbstractContextManager[Show]:
        """A bar, or lines now and then in a log."""
        return counting(what, total, unit, quiet=self.quiet and not always)

    def working(self, what: str) -> AbstractContextManager[Callable[[str], None]]:
        """A line that changes, or lines now and then in a log."""
        return working(what)

    def say(self, line: str) -> None:
        """A line on standard error."""
        print(wrapped(line, "  ", sys.stderr), file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """A warning on standard error."""
        print(wrapped(f"warning: {line}", "  ", sys.stderr), file=sys.stderr)
