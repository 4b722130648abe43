"""Exact scores for searches: spaces of the hyperspace as pairs of a head and a tail (see `pairs`),
anything else as `ExactScorer` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.exact.expectation import ExactScore, total
from spacedsl.search.exact.halves import Halves, halves_exist
from spacedsl.search.exact.pairs import PRECISION, Pairs
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.scorer import Shifts
from spacedsl.search.space_score import LimitScore


class SearchScorer(ExactScorer):
    """`inner`'s scores as expectations, at the detail of searches and in single precision; `error`
    is that of `pairs`."""

    def __init__(self, inner: ModelScorer | RowsScorer) -> None:
        super().__init__(inner, searching=True)

    @property
    def identity(self) -> dict[str, object]:
        """As of `ExactScorer`; other digits, so another identity."""
        return {**super().identity, "exact": "pairs"}

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of the hyperspace. Raises `SpaceError` where it has a fixed stage between
        elastic ones."""
        return Pairs(Halves(self))

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The scores of spaces of the hyperspace under each limit."""
        best = self.settings.best
        if not genotypes:
            return
        scores, shares = self.pairs.parts(genotypes)
        missing = np.rint(best * (1.0 - shares)).astype(int).tolist()
        for values, lacks in zip(scores.tolist(), missing, strict=True):
            yield tuple(map(LimitScore, self.limits_ms, values, lacks))

    def score(self, space: Space, shifts: Shifts | None = None) -> ExactScore:
        """As `ExactScorer.score`; what `limits` gives for a space of the hyperspace."""
        try:
            genotype = Genome(self.hyper).from_space(space)
        except SpaceError:
            return super().score(space, shifts)
        if shifts:
            return super().score(space, shifts)
        (limits,) = self.limits(self.pairs.halves.genome, [genotype])
        return ExactScore(
            score=total(limits),
            limits=limits,
            chain=self.chain(space),
            coverage=(),
            settings=self.settings,
            scorer=self.name,
            method="transform",
            error=PRECISION * total(limits),
        )


def search_scorer(inner: ModelScorer | RowsScorer) -> ExactScorer:
    """`SearchScorer`, or where a fixed stage stands between elastic ones, the slower
    `ExactScorer`."""
    scorer = SearchScorer(inner)
    return scorer if halves_exist(scorer) else ExactScorer(inner, searching=True)
