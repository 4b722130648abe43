"""The first stages of spaces: what no other way through them beats, and how good the spaces that
begin with them can be at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spacedsl.search.best.completions import Completions, windows
from spacedsl.search.best.engine import Engine
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Genotype
from spacedsl.search.exact.front import unbeaten
from spacedsl.search.protocols import Floats

PREFIX_BYTES = 256 << 20
"""Memory for the first stages of spaces."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Latency in ms and loss of the ways through some stages, by resolution and width out."""

    ways: tuple[tuple[tuple[Floats, Floats], ...], ...]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(ms.nbytes + loss.nbytes for row in self.ways for ms, loss in row)


class Prefixes:
    """Of the spaces of an engine's hyperspace, on one target. Raises `TimeUp` at the time `end`."""

    def __init__(self, engine: Engine, end: float) -> None:
        self.engine, self.line = engine, engine.line
        self.most_ms = float(engine.limits_ms.max())
        self.completions = Completions(engine.line, self.most_ms, end)
        self._kept: ByteCache[Prefix] = ByteCache(PREFIX_BYTES, lambda p: p.nbytes)

    def prefix(self, genes: Genotype) -> Prefix:
        """The first stages with these genes."""
        return self._kept.get(genes, lambda: self._made(genes))

    def _made(self, genes: Genotype) -> Prefix:
        if not genes:
            return Prefix(tuple(((np.array([ms]), np.zeros(1)),) for ms in self.line.first_ms))
        before, stage = self.prefix(genes[:-1]), len(genes) - 1
        fronts = self.line.front(stage, genes[-1]).fronts
        start = windows(self.line, genes[:-1]).start
        carries = self.line.carries[stage]
        found = []
        for rows, known in zip(fronts, before.ways, strict=True):
            outs: list[list[tuple[Floats, Floats]]] = [[] for _ in (rows[0] if carries else "1")]
            for c, (ms, loss) in enumerate(known):
                for w, front in enumerate(rows[start + c]):
                    sums = np.add.outer(ms, front.ms).ravel()
                    some = sums <= self.most_ms
                    losses = np.add.outer(loss, front.loss).ravel()
                    outs[w if carries else 0].append((sums[some], losses[some]))
            found.append(tuple(_best(ways) for ways in outs))
        return Prefix(tuple(found))

    def bounds(self, genes: Genotype) -> Floats:
        """(genes, T): what the best network can be worth under each limit, at most, of spaces that
        begin with `genes` and go on with each gene of the next stage; -inf where nothing is that
        fast."""
        prefix, stage = self.prefix(genes), len(genes)
        start = windows(self.line, genes).start
        limits = self.engine.limits_ms.tolist()
        best = np.full((len(self.line.genes(stage)), len(limits)), -np.inf)
        for r, row in enumerate(prefix.ways):
            least = np.full(best.shape, np.inf)
            for c, (ms, loss) in enumerate(row):
                for t, limit in enumerate(limits):
                    left = self.completions.left(limit - ms)
                    fast = left >= 0
                    if fast.any():
                        follow = self.completions.follow(stage, r, start + c, left[fast])
                        least[:, t] = np.minimum(least[:, t], (loss[fast] + follow).min(axis=1))
            best = np.maximum(best, self.engine.value(least, np.full(least.shape, r)))
        return best


def _best(ways: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    ms, loss = (np.concatenate(arrays) for arrays in zip(*ways, strict=True))
    at = unbeaten(ms, loss, 1)
    return ms[at], loss[at]
