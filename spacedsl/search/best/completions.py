"""What can still follow in a hyperspace: for every latency that is left, the least loss of all
elastic stages from one on, whatever genes they have.

Latencies are rounded down to a grid, so the losses are at most the true ones: a bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.search.best.line import Line
from spacedsl.search.candidate import Gene
from spacedsl.search.protocols import Floats, Ints

STEPS = 4_096
"""Steps of the grid up to the greatest limit."""

ROUNDING = 1e-12
"""Of a latency: what sums in another order may differ by."""


class Completions:
    """Of a line's hyperspace, under a greatest limit in ms. Position b of the last axis stands for
    b steps that are left."""

    def __init__(self, line: Line, most_ms: float) -> None:
        self.line, self.step_ms = line, most_ms / STEPS
        self._any: list[Floats] = []
        self._by_gene: list[Floats] = []
        after = np.zeros((len(line.resolutions), 1, STEPS + 1))
        for stage in reversed(range(line.stages)):
            found = [self._gene(stage, gene, after) for gene in line.genes(stage)]
            self._by_gene.append(np.stack(found))
            after = self._by_gene[-1].min(axis=0)
            self._any.append(after)
        self._by_gene.reverse()
        self._any.reverse()

    def _gene(self, stage: int, gene: Gene, after: Floats) -> Floats:
        """(R, C, STEPS + 1) with one gene in a stage; `after` (R, W, STEPS + 1): what follows, by
        all widths of the stage."""
        line = self.line
        start = line.window(stage, gene).start if line.carries[stage] else 0
        fronts = line.front(stage, gene).fronts
        found = np.full((len(fronts), len(fronts[0]), STEPS + 1), np.inf)
        for r, rows in enumerate(fronts):
            for c, row in enumerate(rows):
                least = found[r, c]
                for w, front in enumerate(row):
                    rest = after[r, start + w if line.carries[stage] else 0]
                    steps = np.floor(front.ms / self.step_ms).astype(np.int64)
                    for k, loss in zip(steps.tolist(), front.loss.tolist(), strict=True):
                        if k <= STEPS:
                            np.minimum(least[k:], loss + rest[: STEPS + 1 - k], out=least[k:])
        return found

    def left(self, ms: Floats) -> Ints:
        """Steps within latencies in ms; -1 where there is nothing left."""
        steps = np.floor(ms * (1 + ROUNDING) / self.step_ms).astype(np.int64)
        return np.clip(steps, -1, STEPS)

    def follow(self, stage: int, r: int, cin: int, steps: Ints) -> Floats:
        """(genes, *steps): the least loss from a stage on after width `cin` (of all that may come
        in), for each gene of it; inf where nothing is that fast."""
        known = self._by_gene[stage][:, r, cin]
        return np.where(steps < 0, np.inf, known[:, np.maximum(steps, 0)])


def windows(line: Line, genes: Sequence[Gene]) -> slice:
    """The widths that come into the stage after some genes."""
    stage = len(genes) - 1
    return line.window(stage, genes[-1]) if genes and line.carries[stage] else slice(0, 1)
