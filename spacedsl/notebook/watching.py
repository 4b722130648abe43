"""Progress of a flow as a callback, and its warnings as Python's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spacedsl.flows.watch import SILENT, Show, Watch


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a flow is: `what` it does, how much is `done` of `total` (None: nobody knows) in a
    `unit`, and what else is known, the most important first."""

    what: str
    done: float
    total: float | None
    unit: str
    said: tuple[str, ...]


Callback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Calling:
    """Calls `progress` with each step, and warns as Python does."""

    progress: Callback

    @contextmanager
    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> Iterator[Show]:
        """Steps of known number."""
        yield lambda done, *said: self.progress(Progress(what, done, total, unit, said))

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Steps of unknown number."""
        self.progress(Progress(what, 0, None, "", ()))
        yield lambda text: self.progress(Progress(what, 0, None, "", (text,)))

    def say(self, line: str) -> None:
        """A step without a number."""
        self.progress(Progress(line, 0, None, "", ()))

    def warn(self, line: str) -> None:
        """A Python warning."""
        warnings.warn(line, stacklevel=2)


def watching(progress: Callback | None) -> Watch:
    """What a flow tells its steps."""
    return SILENT if progress is None else Calling(progress)
