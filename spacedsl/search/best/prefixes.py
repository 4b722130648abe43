"""The first stages of spaces: what no other way through them beats, and how little the networks of
spaces that begin with them can lose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spacedsl.search.best.completions import Completions, windows
from spacedsl.search.best.line import Line
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Genotype
from spacedsl.search.exact.executors import Executor
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
    """Of the spaces of a line's hyperspace. What losses are worth does not come into it."""

    def __init__(self, line: Line, limits_ms: Floats) -> None:
        self.line, self.limits_ms = line, limits_ms
        self.most_ms = float(limits_ms.max())
        self._completions: Completions | None = None
        self._kept: ByteCache[Prefix] = ByteCache(PREFIX_BYTES, lambda p: p.nbytes)

    def prepare(self, executor: Executor, end: float) -> None:
        """Work out what can follow, once. Raises `TimeUp` at the time `end`."""
        if self._completions is None:
            self._completions = Completions(self.line, self.most_ms, executor, end)

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

    def least(self, genes: Genotype) -> Floats:
        """(R, genes, T): the least loss that a network can have under each limit, at each
        resolution, of spaces that begin with `genes` and go on with each gene of the next stage;
        inf where nothing is that fast. It must be prepared."""
        completions = self._completions
        if completions is None:
            raise AssertionError("it is prepared")
        prefix, stage = self.prefix(genes), len(genes)
        start = windows(self.line, genes).start
        limits = self.limits_ms.tolist()
        found = np.full((len(prefix.ways), len(self.line.genes(stage)), len(limits)), np.inf)
        for r, (least, row) in enumerate(zip(found, prefix.ways, strict=True)):
            for c, (ms, loss) in enumerate(row):
                for t, limit in enumerate(limits):
                    left = completions.left(limit - ms)
                    fast = left >= 0
                    if fast.any():
                        follow = completions.follow(stage, r, start + c, left[fast])
                        least[:, t] = np.minimum(least[:, t], (loss[fast] + follow).min(axis=1))
        return found


def _best(ways: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    ms, loss = (np.concatenate(arrays) for arrays in zip(*ways, strict=True))
    at = unbeaten(ms, loss, 1)
    return ms[at], loss[at]
