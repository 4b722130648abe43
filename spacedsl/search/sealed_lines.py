"""Files of sealed lines after a header that says of which search they are. Locked while open."""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from spacedsl.diagnostics import fault
from spacedsl.files import mend

Header = Mapping[str, object]

SEALS = {
    b"}": (b',"checksum":"%08x"}', re.compile(rb'(.*),"checksum":"([0-9a-f]{8})"\}\n', re.DOTALL)),
    b"]": (b',"%08x"]', re.compile(rb'(.*),"([0-9a-f]{8})"\]\n', re.DOTALL)),
}
"""How the JSON of a line ends -> the end that has its checksum, and what reads that."""


def sealed_line(value: Mapping[str, object] | list[object]) -> bytes:
    """A line of a journal: an object or a list as JSON, its checksum last."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return text[:-1] + SEALS[text[-1:]][0] % zlib.crc32(text) + b"\n"


def unsealed_line(line: bytes) -> Any:
    """What `sealed_line` made a line of. Raises `ValueError` where the line is another one."""
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
    if sealed_line(value) != line:
        raise ValueError("it is not as it was written")
    return value


class Lines:
    """An open file of lines. `take` is given each line after the header that was there; a torn last
    line is not one. What it raises of a line says why that is none. No line has more than `limit`
    bytes. Raises `SpaceError`."""

    def __init__(
        self, path: Path, header: Header, resume: bool, take: Callable[[bytes], None], limit: int
    ) -> None:
        self.path = path
        try:
            self._file = _open(path, resume)
        except FileExistsError:
            message = f"the journal {path} exists"
            raise fault("journal-exists", message, "say --resume or remove it") from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            _hold(self._file, path)
            self._read(header, take, limit)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

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

    def write(self, line: bytes) -> None:
        """Add a line, so that it outlives this process."""
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def malformed(self, number: int | str, why: str) -> Exception:
        """The error of a line, or of what a key stands for."""
        return fault("bad-journal", f"{self.path}:{number}: not a line of a journal: {why}")

    def _read(self, header: Header, take: Callable[[bytes], None], limit: int) -> None:
        whole, number, expected = 0, 0, sealed_line(header)
        while line := self._file.readline(limit):
            number += 1
            ended = line.endswith(b"\n")
            if number == 1:
                if line != expected and (ended or not expected.startswith(line)):
                    raise self._other(line, header)
            elif ended:
                try:
                    take(line)
                except (ValueError, TypeError) as error:
                    raise self.malformed(number, str(error)) from None
            elif len(line) == limit:
                raise self.malformed(number, "it is too long")
            if not ended:
                break
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self.write(expected)

    def _other(self, line: bytes, header: Header) -> Exception:
        """The error of a file with another header."""
        try:
            found = unsealed_line(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return self.malformed(1, "it is not the header of a journal")
        differing = _differences(found, unsealed_line(sealed_line(header)))
        if not differing:
            return self.malformed(1, "it is not as it was written")
        message = f"{self.path} is not the journal of this search: {'; '.join(differing)}"
        help = "search with the journal's options, or write another journal"
        return fault("journal-differs", message, help)

    def _unwritable(self, error: OSError) -> Exception:
        why = error.strerror or error
        return fault("cannot-write", f"cannot write {self.path}: {why}", mend(error))


def _open(path: Path, resume: bool) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | (0 if resume else os.O_EXCL)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    return os.fdopen(descriptor, "r+b")


def _hold(file: IO[bytes], path: Path) -> None:
    """Lock an open file until it is closed. Raises `SpaceError` where another process has it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"another search writes the journal {path}"
            raise fault("journal-busy", message) from None


def _differences(found: Header, header: Header) -> list[str]:
    """What two headers do not have in common, one sentence each."""
    return [
        f"{key} is {_shown(found.get(key))}, this search's is {_shown(header.get(key))}"
        for key in sorted({*header, *found})
        if found.get(key) != header.get(key)
    ]


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
