"""Progress of a flow as a callback, and its warnings as Python's."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spacedsl.flows.watch import Show, Watch


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
    """Calls `progress` with each step, and warns as Python does. Without one, it still says on
    standard error what takes minutes."""

    progress: Callback | None

    @contextmanager
    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> Iterator[Show]:
        """Steps of known number."""
        yield lambda done, *said: self._tell(Progress(what, done, total, unit, said))

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Steps of unknown number."""
        self._tell(Progress(what, 0, None, "", ()))
        yield lambda text: self._tell(Progress(what, 0, None, "", (text,)))

    def say(self, line: str) -> None:
        """A step without a number."""
        if self.progress is None:
            print(line, file=sys.stderr, flush=True)
        self._tell(Progress(line, 0, None, "", ()))

    def warn(self, line: str) -> None:
        """A Python warning."""
        warnings.warn(line, stacklevel=2)

    def _tell(self, step: Progress) -> None:
        if self.progress is not None:
            self.progress(step)


def watching(progress: Callback | None) -> Watch:
    """What a flow tells its steps."""
    return Calling(progress)
