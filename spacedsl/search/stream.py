"""Random numbers that stay the same: taken from PCG64's raw output, whose stream numpy guarantees,
and not from `numpy.random.Generator`, whose methods may change between versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import PCG64, SeedSequence

from spacedsl.search.protocols import Floats

T = TypeVar("T")

_BITS = 64


def uniforms(seed: int, key: tuple[int, ...], count: int) -> Floats:
    """(count,) numbers in [0, 1), a pure function of `seed` (>= 0) and `key`; the first ones do
    not depend on `count`."""
    raw = PCG64(SeedSequence(seed, spawn_key=key)).random_raw(count)
    return np.asarray(raw >> np.uint64(11), dtype=np.float64) * 2.0**-53


class Stream:
    """Random choices from one seed, exactly uniform."""

    def __init__(self, seed: int) -> None:
        self._bits = PCG64(SeedSequence(seed))

    def below(self, count: int) -> int:
        """A number in 0..count-1; count is at least 1."""
        drawn = count.bit_length() // _BITS + 1
        span = 1 << (_BITS * drawn)
        while True:
            value = 0
            for _ in range(drawn):
                value = value << _BITS | int(self._bits.random_raw())
            if value < span - span % count:
                return value % count

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def sample(self, count: int, size: int) -> list[int]:
        """`size` different numbers of 0..count-1, in random order."""
        moved: dict[int, int] = {}
        chosen: list[int] = []
        for i in range(size):
            j = i + self.below(count - i)
            chosen.append(moved.get(j, j))
            moved[j] = moved.get(i, i)
        return chosen
