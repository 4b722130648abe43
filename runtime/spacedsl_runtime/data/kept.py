"""Plain views that are used again and again (calibration, search, evaluation): decoded once, kept
in files without a name that are mapped into memory, and gone with the process."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple, Self

import numpy as np

from spacedsl_runtime.data.split import Bytes, Labels

LIMIT = 8 << 30
"""Bytes that are kept at most, by default. The files are in the system's folder for temporary ones
(TMPDIR)."""


class _Slice(NamedTuple):
    """Of a batch in its file."""

    begin: int
    shape: tuple[int, ...]
    labels: Labels


class _Mapped(NamedTuple):
    memory: mmap.mmap
    places: tuple[_Slice, ...]


class Kept:
    """Batches by key, of at most `limit` bytes in all. Where the disk is full, no more is kept."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._room = limit
        self._held: dict[Hashable, _Mapped] = {}

    def get(
        self, key: Hashable, size: int, make: Iterable[tuple[Bytes, Labels]]
    ) -> Iterable[tuple[Bytes, Labels]]:
        """The batches of `key`: those that are kept, or what `make` makes, which is kept once it
        came to its end, if its `size` bytes have room."""
        if key in self._held:
            return _read(self._held[key])
        return self._written(key, make) if size <= self._room else make

    def _written(
        self, key: Hashable, make: Iterable[tuple[Bytes, Labels]]
    ) -> Iterator[tuple[Bytes, Labels]]:
        places: list[_Slice] = []
        with _Unnamed() as file:
            for views, labels in make:
                places.append(_Slice(file.size, views.shape, labels))
                file.write(views)
                yield views, labels
            if key not in self._held and (memory := file.mapped()):
                self._held[key] = _Mapped(memory, tuple(places))
                self._room -= len(memory)


class _Unnamed:
    """A file without a name; what does not fit on the disk is not written."""

    def __init__(self) -> None:
        self.size = 0
        try:
            self._file: IO[bytes] | None = tempfile.TemporaryFile()  # noqa: SIM115
        except OSError:
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def write(self, views: Bytes) -> None:
        """Append."""
        self.size += views.nbytes
        if self._file is not None:
            with self._or_none():
                self._file.write(np.ascontiguousarray(views).data)

    def mapped(self) -> mmap.mmap | None:
        """All of it, None where it could not be written."""
        if self._file is None or not self.size:
            return None
        with self._or_none():
            self._file.flush()
            return mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)
        return None

    @contextmanager
    def _or_none(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            with suppress(OSError):
                if self._file is not None:
                    self._file.close()
            self._file = None


def _read(found: _Mapped) -> Iterator[tuple[Bytes, Labels]]:
    for place in found.places:
        count = int(np.prod(place.shape))
        views = np.frombuffer(found.memory, np.uint8, count, place.begin).reshape(place.shape)
        yield views, place.labels
