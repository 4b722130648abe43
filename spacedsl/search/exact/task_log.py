"""The journal of a search for an optimum: finished pieces of work as lines of JSON, after a header
that says of which search. Locked while it is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, TypeVar

from spacedsl.diagnostics import fault
from spacedsl.search.exact.executors import Executor
from spacedsl.search.journal import Header, differences, hold, sealed, unsealed

FORMAT = 4


class TaskLog(AbstractContextManager["TaskLog"]):
    """`held`: the values that were there, by their key. A torn last line is not one. `kind`: what
    is searched for."""

    def __init__(self, path: Path, identity: Header, resume: bool, kind: str = "optimum") -> None:
        self.path, self.kind = path, kind
        if path.exists() and not resume:
            message = f"the journal {path} exists"
            raise fault("journal-exists", message, "say --resume or remove it")
        try:
            self._file: IO[bytes] = path.open("a+b")
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            hold(self._file, path)
            self.held = self._read({kind: FORMAT, **identity})
        except BaseException:
            self._file.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, key: str, value: object) -> None:
        """One finished piece of work."""
        self._write(sealed([key, value]))

    def _read(self, identity: Header) -> dict[str, Any]:
        header = sealed(identity)
        self._file.seek(0)
        try:
            lines = self._file.read().splitlines(keepends=True)
        except OSError as error:
            raise self._unwritable(error) from None
        if not lines or (len(lines) == 1 and header.startswith(lines[0]) and lines[0] != header):
            self._file.truncate(0)
            self._write(header)
            return {}
        if lines[0] != header:
            raise self._other(lines[0], identity)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._file.truncate(sum(map(len, whole)))
        held: dict[str, Any] = {}
        for number, line in enumerate(whole[1:], 2):
            try:
                key, value = unsealed(line)
                held[str(key)] = value
            except (ValueError, TypeError) as error:
                raise self.malformed(number, str(error)) from None
        return held

    def _other(self, line: bytes, identity: Header) -> Exception:
        """The error of a journal with another header."""
        try:
            found = unsealed(line)
        except ValueError:
            found = None
        message = f"{self.path} is not the journal of this search"
        if isinstance(found, dict) and self.kind in found:
            message += f": {'; '.join(differences(found, unsealed(sealed(identity))))}"
        help = "search with the journal's options, or write another journal"
        return fault("journal-differs", message, help)

    def malformed(self, number: int | str, why: str) -> Exception:
        """The error of a line, or of what a key stands for."""
        return fault("bad-journal", f"{self.path}:{number}: not a line of a journal: {why}")

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> Exception:
        return fault("cannot-write", f"cannot write {self.path}: {error.strerror or error}")


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
