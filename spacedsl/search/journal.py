"""The journal of a search: JSON lines, a header and then one line per scored space.

A search is deterministic, so resuming is running it again with the scores of the journal; every
line is checked to be of the space that the search comes to. Nothing in it depends on time, place or
on how many spaces were asked for: a search that goes on writes what a longer one would have."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from spacedsl.diagnostics import fault
from spacedsl.search.candidate import Genotype
from spacedsl.search.score import LimitScore

FORMAT = 2
"""Changes with the journal's form and with anything that would give other candidates or scores."""

MAX_LINE_BYTES = 1 << 16

Header = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A scored space: which of the search's spaces it is (from 0), its genotype and content hash,
    its Q-T score and those under each limit."""

    index: int
    genotype: Genotype
    hash: str
    score: float
    limits: tuple[LimitScore, ...]


SEALS = {
    b"}": (b',"checksum":"%08x"}', re.compile(rb'(.*),"checksum":"([0-9a-f]{8})"\}\n', re.DOTALL)),
    b"]": (b',"%08x"]', re.compile(rb'(.*),"([0-9a-f]{8})"\]\n', re.DOTALL)),
}
"""How the JSON of a line ends -> the end that has its checksum, and what reads that."""


def sealed(value: Mapping[str, object] | list[object]) -> bytes:
    """A line of a journal: an object or a list as JSON, its checksum last."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return text[:-1] + SEALS[text[-1:]][0] % zlib.crc32(text) + b"\n"


def unsealed(line: bytes) -> Any:
    """What `sealed` made a line of. Raises `ValueError` where the line is another one."""
    end = line[-2:-1]
    found = SEALS[end][1].fullmatch(line) if end in SEALS else None
    if found is None:
        raise ValueError("it has no checksum")
    text = found[1] + end
    if zlib.crc32(text) != int(found[2], 16):
        raise ValueError("its checksum is wrong")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if sealed(value) != line:
        raise ValueError("it is not as it was written")
    return value


def encode(record: Evaluated) -> bytes:
    """One line of the journal."""
    return sealed(
        {
            "index": record.index,
            "genes": record.genotype,
            "hash": record.hash,
            "score": record.score,
            "scores": [limit.score for limit in record.limits],
            "missing": [limit.missing for limit in record.limits],
        }
    )


class Sums(Protocol):
    """What a journal needs of a scorer: latency limits in ms, and a score from those under them."""

    @property
    def limits_ms(self) -> tuple[float, ...]: ...

    def total(self, limits: Sequence[LimitScore]) -> float: ...


def decode(line: bytes, scorer: Sums) -> Evaluated:
    """The record of a line. Raises `ValueError` where it is none."""
    try:
        value = unsealed(line)
        record = Evaluated(
            index=value["index"],
            genotype=tuple((block, window) for block, window in value["genes"]),
            hash=value["hash"],
            score=float(value["score"]),
            limits=tuple(
                LimitScore(limit_ms, float(score), missing)
                for limit_ms, score, missing in zip(
                    scorer.limits_ms, value["scores"], value["missing"], strict=True
                )
            ),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from None
    if not all(math.isfinite(s) for s in (record.score, *(x.score for x in record.limits))):
        raise ValueError("a score is not a number")
    if record.score != scorer.total(record.limits):
        raise ValueError("the score is not that of its parts")
    if not all(type(x.missing) is int for x in record.limits):
        raise ValueError("a number of missing subnets is no whole number")
    return record


def hold(file: IO[bytes], path: Path) -> None:
    """Lock an open journal until it is closed. Raises `SpaceError` where another process has it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"another search writes the journal {path}"
            raise fault("journal-busy", message) from None


def differences(found: Header, header: Header) -> list[str]:
    """What two headers do not have in common, one sentence each."""
    return [
        f"{key} is {_shown(found.get(key))}, this search's is {_shown(header.get(key))}"
        for key in sorted({*header, *found})
        if found.get(key) != header.get(key)
    ]


class Journal(AbstractContextManager["Journal"]):
    """An open journal, locked against other runs. `records`: what it held when it was opened."""

    def __init__(self, path: Path, header: Header, scorer: Sums, resume: bool) -> None:
        self.path = path
        self.records: tuple[Evaluated, ...] = ()
        try:
            self._file = _open(path, resume)
        except FileExistsError:
            message = f"the journal {path} exists"
            raise fault("journal-exists", message, "say --resume or remove it") from None
        except OSError as error:
            message = f"cannot write {path}: {error.strerror or error}"
            raise fault("cannot-write", message) from None
        try:
            hold(self._file, path)
            self._read({"journal": FORMAT, **header}, scorer)
        except BaseException:
            self._file.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError:  # what could not be written is already reported
            if kind is None:
                raise

    def append(self, record: Evaluated) -> None:
        """Write one record, so that it outlives this process."""
        self._write(encode(record))

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            message = f"cannot write {self.path}: {error.strerror or error}"
            raise fault("cannot-write", message) from None

    def _read(self, header: dict[str, object], scorer: Sums) -> None:
        whole = 0
        records: list[Evaluated] = []
        expected = sealed(header)
        number = 0
        while line := self._file.readline(MAX_LINE_BYTES):
            number += 1
            if number == 1:
                if line != expected and not self._torn(line, expected):
                    self._check_header(line, header)
            elif line.endswith(b"\n"):
                records.append(self._record(line, number, scorer))
            elif len(line) == MAX_LINE_BYTES:
                raise self._malformed(number, "it is too long")
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(whole)
        self.records = tuple(records)
        if whole == 0:
            self._write(expected)

    def _torn(self, line: bytes, expected: bytes) -> bool:
        return not line.endswith(b"\n") and expected.startswith(line)

    def _record(self, line: bytes, number: int, scorer: Sums) -> Evaluated:
        try:
            record = decode(line, scorer)
        except ValueError as error:
            raise self._malformed(number, str(error)) from None
        if record.index != number - 2:
            raise self._malformed(number, f"index {record.index} where {number - 2} comes")
        return record

    def _check_header(self, line: bytes, header: dict[str, Any]) -> None:
        try:
            found = unsealed(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "journal" not in found:
            raise self._malformed(1, "it is not the header of a journal")
        differing = differences(found, header)
        if not differing:
            raise self._malformed(1, "it is not as it was written")
        message = f"{self.path} is the journal of another search: {'; '.join(differing)}"
        help = "search with the journal's options, or write another journal"
        raise fault("journal-differs", message, help)

    def _malformed(self, number: int, why: str) -> Exception:
        return fault("bad-journal", f"{self.path}:{number}: not a line of a journal: {why}")


def _open(path: Path, resume: bool) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | (0 if resume else os.O_EXCL)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    return os.fdopen(descriptor, "r+b")


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
