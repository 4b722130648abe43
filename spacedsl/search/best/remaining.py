"""What can still follow in a space: for every latency that is left, the least loss of its elastic
stages from one on.

Where several best networks are asked for, a path is followed only where this says that it can end
as one of them, so hardly more paths are followed than there are networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from spacedsl.search.best.line import Line
from spacedsl.search.best.steps import Singles, least_after, steps_within
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Gene, Genotype
from spacedsl.search.protocols import Floats, Ints

STEPS = 2_048
"""Of the grid up to the greatest limit."""

REMAINING_BYTES = 128 << 20
"""Memory for what can follow."""


class Remaining:
    """What can still follow in spaces of a line, under a greatest limit in ms. Spaces that end in
    the same genes share it."""

    def __init__(self, line: Line, most_ms: float) -> None:
        self.line, self.step_ms = line, most_ms / STEPS
        self._kept: ByteCache[Singles] = ByteCache(REMAINING_BYTES, lambda a: a.nbytes)

    def of(self, genotypes: Sequence[Genotype]) -> Ends:
        """How the paths of some spaces can end."""
        each = [self._space(genotype) for genotype in genotypes]
        return Ends([np.stack(stage) for stage in zip(*each, strict=True)], self.step_ms)

    def _space(self, genotype: Genotype) -> list[Singles]:
        """Before each elastic stage, and after the last, (R, C, steps + 1) by the widths that come
        in there and the steps that are left; inf where nothing is fast enough."""
        line = self.line
        found: list[Singles] = [np.zeros((len(line.resolutions), 1, STEPS + 1), dtype=np.float32)]
        for stage in reversed(range(line.stages)):
            found.append(self._before(stage, genotype, found[-1]))
        return found[::-1]

    def _before(self, stage: int, genotype: Genotype, after: Singles) -> Singles:
        """(R, C, steps + 1): what can follow from a stage on, by the widths that come into it.
        `after`: the same of the next stage."""
        line, genes = self.line, genotype[stage:]
        cins = range(1)
        if stage and line.carries[stage - 1]:
            window = line.window(stage - 1, genotype[stage - 1])
            cins = range(window.start, window.stop)
        each = [
            self._kept.get((stage, cin, genes), partial(self._made, stage, genes[0], cin, after))
            for cin in cins
        ]
        return np.stack(each, axis=1)

    def _made(self, stage: int, gene: Gene, cin: int, after: Singles) -> Singles:
        """(R, steps + 1): the same for one width `cin`, where the stage has a gene."""
        found = []
        for rows, rest in zip(self.line.front(stage, gene).fronts, after, strict=True):
            outs = rest if self.line.carries[stage] else [rest[0] for _ in rows[cin]]
            found.append(least_after(rows[cin], outs, self.step_ms))
        return np.stack(found)


@dataclass(frozen=True, slots=True)
class Ends:
    """Of N spaces, before each elastic stage and after the last: the least loss of what follows,
    (N, R, C, steps + 1) by the widths that come in there and the steps that are left; inf where
    nothing is fast enough."""

    least: list[Singles]
    step_ms: float

    def loss(self, stage: int, at: tuple[Ints, Ints, Ints], ms: Floats) -> Singles:
        """The least loss from a stage on. Paths are there `at` (space, resolution, width in), and
        have so many `ms` left."""
        left = steps_within(ms, self.step_ms, STEPS)
        return np.where(left < 0, np.float32(np.inf), self.least[stage][(*at, left)])
