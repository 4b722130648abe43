"""Spaces that bounds leave open, from the greatest bound on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spacedsl.search.exact.branch import Bounded

LEAVES = 512
"""Spaces that are scored as one piece of work."""

ROUND = 16
"""Pieces between two looks at the best bound."""


class Leaves:
    """The open spaces of families, in rounds of falling bounds; within a round, by family, so that
    neighbours share their halves."""

    def __init__(self, families: Mapping[int, Bounded]) -> None:
        numbers = sorted(families)
        counts = [len(families[i].heads) for i in numbers]
        family = np.repeat(np.array(numbers, dtype=np.int32), counts)
        none = np.empty(0, dtype=np.int32)
        heads = np.concatenate([none, *(families[i].heads for i in numbers)])
        tails = np.concatenate([none, *(families[i].tails for i in numbers)])
        bounds = np.concatenate([none, *(families[i].bounds for i in numbers)])
        order = np.lexsort((tails, heads, family, -bounds))
        self._bounds = bounds[order]
        every = LEAVES * ROUND
        for start in range(0, len(order), every):
            some = order[start : start + every]
            order[start : start + every] = some[
                np.lexsort((tails[some], heads[some], family[some]))
            ]
        self._found = np.stack([family[order], heads[order], tails[order]], axis=1)

    def __len__(self) -> int:
        return len(self._bounds)

    @property
    def pieces(self) -> int:
        """How many pieces of work there are."""
        return -(-len(self) // LEAVES)

    def bound(self, piece: int) -> float:
        """The greatest bound in the round of a piece and after it; -inf after the last."""
        start = piece // ROUND * ROUND * LEAVES
        return float(self._bounds[start]) if piece < self.pieces else -np.inf

    def piece(self, number: int) -> list[tuple[int, int, int]]:
        """(family, head, tail) of the spaces of a piece."""
        some = self._found[number * LEAVES : (number + 1) * LEAVES]
        return [(int(f), int(h), int(t)) for f, h, t in some]
