"""Keeps parts of spaces that were worked out. They stand one after the other in a few large arrays,
from which a query for many spaces takes them by their numbers without copies."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.protocols import Floats, Ints

FIRST_ROWS = 1024
"""Room that an array has at first."""


@dataclass(frozen=True, slots=True)
class Part:
    """For one width in, R resolutions and W widths out (1 where they do not matter any more), N
    configurations in all: `ms`, `loss` and `way` (see `Parts.blocks`), (N,) each; where those of
    (r, w) begin, (R W + 1,); and the least sums (R, W, M) by multiplier and the least latencies
    (R, W), inf where there is no configuration. `near`: by multiplier and (r, w), which
    configurations are near the least sum; where these begin, (M, R W + 1)."""

    ms: Floats
    loss: Floats
    way: Ints
    begin: Ints
    near: Ints
    near_begin: Ints
    least: Floats
    least_ms: Floats


@dataclass(frozen=True, slots=True)
class Column:
    """Part i of the N spaces of a query. `number` (N, C): which of the kept parts, by width in. The
    rest is of all kept parts in turn, as in `Part`, but places count through all of them."""

    number: Ints
    ms: Floats
    loss: Floats
    way: Ints
    begin: Ints
    near: Ints
    near_begin: Ints
    least: Floats
    least_ms: Floats


class Shelf:
    """The parts that stand at one place of spaces, by what they depend on."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._rows: dict[str, _Rows] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(rows.nbytes for rows in self._rows.values())

    def number(self, key: Hashable) -> int | None:
        """Which part has a key; None where it is not kept."""
        return self._numbers.get(key)

    def put(self, key: Hashable, part: Part) -> int:
        """Keep a part; its number."""
        points, near = self._count("ms"), self._count("near")
        moved = {
            "begin": part.begin + points,
            "near": part.near + points,
            "near_begin": part.near_begin + near,
        }
        for field in fields(Part):
            values = moved.get(field.name, getattr(part, field.name))
            flat = field.name in ("ms", "loss", "way", "near")
            self._add(field.name, values if flat else values[None])
        return self._numbers.setdefault(key, len(self._numbers))

    def column(self, number: Ints) -> Column:
        """Of parts with these numbers, (N, C)."""
        return Column(number, **{name: rows.filled for name, rows in self._rows.items()})

    def _count(self, name: str) -> int:
        return self._rows[name].count if name in self._rows else 0

    def _add(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._rows:
            kept = values.dtype if values.dtype.kind == "f" else np.dtype(np.int32)
            self._rows[name] = _Rows(np.empty((FIRST_ROWS, *values.shape[1:]), dtype=kept))
        self._rows[name].add(values)


@dataclass
class _Rows:
    """An array that grows; `count` rows of it are filled."""

    room: NDArray[Any]
    count: int = 0

    @property
    def filled(self) -> NDArray[Any]:
        return self.room[: self.count]

    @property
    def nbytes(self) -> int:
        return self.room.nbytes

    def add(self, values: NDArray[Any]) -> None:
        end = self.count + len(values)
        if end > len(self.room):
            rows = max(end, len(self.room) * 3 // 2)
            room = np.empty((rows, *self.room.shape[1:]), dtype=self.room.dtype)
            room[: self.count] = self.filled
            self.room = room
        self.room[self.count : end] = values
        self.count = end
