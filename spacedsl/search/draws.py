"""The random subnets of a score, as common random numbers.

Subnet i makes every choice with a uniform number that depends on the seed and on which choice it
is (stage, block position, trait), never on the space. `floor(u * values)` picks from the values in
canonical order. So all spaces are scored on the same draws, equal hashes score alike, and what a
stage contributes can be kept from one space to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.operators.size import Size
from spacedsl.search.cache import ByteCache
from spacedsl.search.protocols import Ints
from spacedsl.search.stream import uniforms

RESOLUTION = (0, 0, 0)
"""Keys are (elastic stage from 1, block position from 1, trait); this one is the resolution's."""

DEPTH, ROW = 0, 1
"""Traits of a stage as a whole, at block position 0."""

WIDTH = 0
"""Trait of a block; its settings follow, numbered from 1 in canonical order."""

DRAW_CACHE_BYTES = 32 << 20


class Draws:
    """`count` random subnets. `lot` tells apart several lots of one seed."""

    def __init__(self, seed: int, count: int, lot: int = 0) -> None:
        self.seed, self.count, self.lot = seed, count, lot
        self._kept: ByteCache[Ints] = ByteCache(DRAW_CACHE_BYTES, lambda array: array.nbytes)

    def index(self, key: tuple[int, int, int], values: int) -> Ints:
        """(count,) positions in a list of `values` values."""

        def make() -> Ints:
            drawn = uniforms(self.seed, (self.lot, *key), self.count)
            return np.asarray(np.floor(drawn * values), dtype=np.int64)

        return self._kept.get((key, values), make)

    def resolution(self, resolutions: Sequence[Size]) -> Ints:
        """(count,) positions in `resolutions`."""
        return self.index(RESOLUTION, len(resolutions))

    def depth(self, stage: int, depths: Sequence[int]) -> Ints:
        """(count,) positions in the depths of elastic stage `stage`."""
        return self.index((stage, 0, DEPTH), len(depths))

    def row(self, stage: int, rows: int) -> Ints:
        """(count,) positions in the rows of elastic stage `stage`."""
        return self.index((stage, 0, ROW), rows)

    def trait(self, stage: int, block: int, trait: int, values: int, *, shared: bool) -> Ints:
        """(count,) positions in the values of `trait` (0: width, then settings) of block `block`
        (from 0); a `shared` trait is that of the first block."""
        return self.index((stage, 1 if shared else block + 1, trait), values)
