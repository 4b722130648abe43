"""Exact scores of many spaces on one target or on several at once, at the detail of searches.

The losses are one network's, so targets share a genome; latencies, limits and so the frequencies of
the transforms are each target's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.exact.halves import Halves
from spacedsl.search.exact.neighbours import neighbours
from spacedsl.search.exact.pairs import Pairs
from spacedsl.search.protocols import Floats


class Joint:
    """The sum of the scores by some `Pairs` of one hyperspace, or the worst of them."""

    def __init__(self, pairs: Sequence[Pairs], combine: Combine = Combine.sum) -> None:
        self.pairs, self.combine = tuple(pairs), combine

    @property
    def halves(self) -> tuple[Halves, ...]:
        """Each target's."""
        return tuple(p.halves for p in self.pairs)

    @property
    def genome(self) -> Genome:
        """Of all targets."""
        return self.pairs[0].halves.genome

    @property
    def most(self) -> float:
        """No space scores more: what one would whose every subnet is under every limit and has the
        least loss."""
        each = [np.array([len(h.scorer.limits_ms) / h.least_loss]) for h in self.halves]
        return float(self._combined(each)[0])

    def score(self, genotype: Genotype) -> float:
        """The score of one space."""
        return float(self.scores([genotype])[0])

    def scores(self, genotypes: Sequence[Genotype]) -> Floats:
        """(N,) the scores of N spaces."""
        return self._combined([p.limits(genotypes).sum(axis=1) for p in self.pairs])

    def neighbours(self, genotype: Genotype) -> tuple[list[Genotype], Floats]:
        """The spaces with another gene in one stage, and their scores (N,)."""
        found = [neighbours(p, genotype) for p in self.pairs]
        return found[0][0], self._combined([scores for _, scores in found])

    def climbed(self, genotype: Genotype, score: float) -> tuple[Genotype, float]:
        """The best neighbour of the best neighbour and so on, until none has a better score by
        `score`, whose rounding is that of all searches."""
        while True:
            found, scores = self.neighbours(genotype)
            best = found[int(np.argmax(scores))] if found else genotype
            again = self.score(best)
            if again <= score:
                return genotype, score
            genotype, score = best, again

    def _combined(self, each: Sequence[Floats]) -> Floats:
        stacked = np.stack(each)
        found = stacked.sum(axis=0) if self.combine is Combine.sum else stacked.min(axis=0)
        return np.asarray(found)
