"""How a flow says what it is doing, to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Show(Protocol):
    """Told how much is done, and what else is known, the most important first."""

    def __call__(self, done: float, *said: str) -> None:
        """Show it."""


class Watch(Protocol):
    """Told what a flow does. Nothing that a flow returns depends on who watches it."""

    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> AbstractContextManager[Show]:
        """Work of known size begins: `total` of a `unit`, or a share of 1 where that is "". It is
        shown `always` where it may take minutes that nobody asked for."""

    def working(self, what: str) -> AbstractContextManager[Callable[[str], None]]:
        """Work begins of which nobody knows the size; yields what takes a sentence of how far it
        is."""

    def say(self, line: str) -> None:
        """Something that is good to know."""

    def warn(self, line: str) -> None:
        """Something that may be wrong."""


class Silent:
    """Nobody watches."""

    @contextmanager
    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> Iterator[Show]:
        """Shows nothing."""
        yield lambda done, *said: None

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Shows nothing."""
        yield lambda text: None

    def say(self, line: str) -> None:
        """Says nothing."""

    def warn(self, line: str) -> None:
        """Says nothing."""


SILENT = Silent()


@contextmanager
def announced(watch: Watch, what: str, note: str) -> Iterator[Show]:
    """Announces work that takes long: says what it is, with a note. Yields a function that is told
    the share of it that is done. Both are shown wherever the output goes."""
    watch.say(f"{what}: {note}")
    with watch.counting(what, 1.0, always=True) as show:
        yield show
