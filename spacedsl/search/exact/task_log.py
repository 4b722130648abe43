"""The journal of a search for an optimum: finished pieces of work as lines of JSON, after a header
that says of which search. Locked while it is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spacedsl.search.exact.executors import Executor
from spacedsl.search.sealed_lines import Header, Lines, sealed_line, unsealed_line

FORMAT = 4


MAX_LINE_BYTES = 1 << 28


class TaskLog(Lines):
    """`held`: the values that were there, by their key. `kind`: what is searched for."""

    def __init__(self, path: Path, identity: Header, resume: bool, kind: str = "optimum") -> None:
        self.held: dict[str, Any] = {}
        super().__init__(path, {kind: FORMAT, **identity}, resume, self._take, MAX_LINE_BYTES)

    def append(self, key: str, value: object) -> None:
        """One finished piece of work."""
        self.write(sealed_line([key, value]))

    def _take(self, line: bytes) -> None:
        key, value = unsealed_line(line)
        self.held[str(key)] = value


class Encodable(Protocol):
    """A result that can be written down."""

    def encoded(self) -> object:
        """Plain data."""


S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O", bound=Encodable)  # noqa: E741


@dataclass(frozen=True)
class Pieces:
    """Numbered pieces of work on one state: taken from the log or done, until the time `end`.
    `attempt` tells apart those of several states."""

    executor: Executor
    state: Any
    log: TaskLog | None
    end: float
    attempt: int

    def __call__(
        self,
        kind: str,
        work: Callable[[Any, I], O],
        decode: Callable[[Any], O],
        items: Sequence[tuple[int, I]],
    ) -> Iterator[tuple[int, O]]:
        """(number, result) in the order of `items`; fewer when time is up."""
        held = self.log.held if self.log else {}
        keys = {i: f"{kind} {self.attempt} {i}" for i, _ in items}
        waiting = [item for i, item in items if keys[i] not in held]
        found = self.executor(work, self.state, waiting)
        for i, key in keys.items():
            if key in held:
                yield i, self._decoded(key, decode)
                continue
            if time.monotonic() > self.end:
                return
            result = next(found)
            if self.log is not None:
                self.log.append(key, result.encoded())
            yield i, result

    def _decoded(self, key: str, decode: Callable[[Any], O]) -> O:
        if self.log is None:
            raise AssertionError("what is held is held by a log")
        try:
            return decode(self.log.held[key])
        except (KeyError, TypeError, ValueError) as error:
            raise self.log.malformed(key, str(error)) from None
