"""Exact Q-T scores of the spaces of a hyperspace, by either scorer's tables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from math import prod
from typing import Self

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.search.block_tables import StagePlace
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Genome
from spacedsl.search.draws import Draws
from spacedsl.search.exact import enumerate as atoms
from spacedsl.search.exact.expectation import (
    ExactScore,
    expected_best,
    joint,
    limit_scores,
    probabilities,
    total,
)
from spacedsl.search.exact.grid import COARSE, FINE, SEARCH, Detail, Extent, Grid
from spacedsl.search.exact.operators import (
    Bounds,
    StageOperator,
    joined_extent,
    model_bounds,
    model_operator,
    rows_bounds,
    rows_operator,
)
from spacedsl.search.exact.shifted import shifted
from spacedsl.search.fixed import Chain
from spacedsl.search.protocols import Floats
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.scorer import Scorer, Shifts
from spacedsl.search.space_score import LimitScore
from spacedsl.search.stage_facts import StageFacts, require_space, stage_facts
from spacedsl.search.stage_vectors import StageVectors

OPERATOR_BYTES = 1 << 30
"""Memory for operators of stages."""

ATOMS = 100_000
"""Spaces of at most this many subnets (of rows, combinations of rows) are enumerated."""

SEARCHED_SPREAD = 0.65
"""Of the greatest spread of losses in a hyperspace, the share over which a search integrates."""

SEARCH_ERROR = 3e-4
"""Of a score, when searching: about three times the largest error measured against full detail."""

SAFETY = 8.0
"""What the difference of two grids is multiplied with to state an error: against a much finer grid
it was up to 3.5 times too small. An estimate that was measured, not a theorem."""

Stage = tuple[StageFacts, StagePlace]


class ExactScorer(Scorer):
    """`inner`'s scores as expectations. `searching`: at the detail of searches, on one grid for all
    spaces; otherwise at full detail with an error bound, on a grid of the space's own."""

    def __init__(self, inner: ModelScorer | RowsScorer, searching: bool = False) -> None:
        if inner.settings.definition != "qt":
            message = "an exact score is of the definition qt"
            raise fault("bad-option", message, "say --definition qt, or leave --exact out")
        super().__init__(inner.hyper, inner.latency, inner.resolutions, inner.settings)
        self.name = inner.name
        self.inner, self.searching = inner, searching
        self._operators: ByteCache[StageOperator] = ByteCache(OPERATOR_BYTES, lambda o: o.nbytes)
        self._bounds: dict[Hashable, tuple[Bounds, float]] = {}
        self._whole_stages: set[Hashable] = set()
        self._whole: Grid | None = None

    @property
    def quality_identity(self) -> str:
        return self.inner.quality_identity

    @property
    def identity(self) -> dict[str, object]:
        """Everything a score depends on; there is no seed."""
        found = {k: v for k, v in self.inner.identity.items() if k != "score_seed"}
        return {**found, "exact": "search" if self.searching else "full"}

    def reseeded(self, seed: int) -> Self:
        """Itself: nothing is drawn."""
        return self

    def missing(self, facts: StageFacts, place: StagePlace) -> list[str]:
        return self.inner.missing(facts, place)

    def compute(self, facts: StageFacts, place: StagePlace, draws: Draws) -> StageVectors:
        return self.inner.compute(facts, place, draws)

    def score(self, space: Space, shifts: Shifts | None = None) -> ExactScore:
        """The expected Q-T score of a space; losses of shifted stages are raised."""
        require_space(space)
        if isinstance(self.inner, RowsScorer):
            self.inner.require_whole(space)
        chain = self.chain(space)
        self.require_fixed(space, chain)
        stages = [
            (stage_facts(space.stages[position]), place)
            for position, place in zip(space.elastic, chain.places, strict=True)
        ]
        if any(self._lacks(stage) for stage in stages):
            self.require(space)
        error, method = 0.0, "transform"
        if self.searching:
            grid = self.whole_grid()
            found = self._transformed(stages, chain, grid, shifts or {})
            limits = tuple(replace(x, missing=round(x.missing)) for x in found)
            error = SEARCH_ERROR * total(limits)
        elif self._count(stages, chain) <= ATOMS:
            limits, method = self._enumerated(stages, chain, shifts or {}), "enumerated"
        else:
            extent = self._extent(stages, chain)
            grids = [Grid(self.limits_ms, extent, detail) for detail in (FINE, COARSE)]
            limits, coarse = (self._transformed(stages, chain, g, shifts or {}) for g in grids)
            differences = (abs(a.score - b.score) for a, b in zip(limits, coarse, strict=True))
            error = SAFETY * sum(differences)
        return ExactScore(
            score=total(limits),
            limits=limits,
            chain=chain,
            coverage=(),
            settings=self.settings,
            scorer=self.name,
            method=method,
            error=error,
        )

    def _lacks(self, stage: Stage) -> bool:
        key = (stage[0].identity, stage[1])
        if key not in self._whole_stages:
            if self.missing(*stage):
                return True
            self._whole_stages.add(key)
        return False

    # --- transforms

    def whole_grid(self, detail: Detail = SEARCH) -> Grid:
        """The grid for all spaces of the hyperspace."""
        if self._whole is None or self._whole.detail != detail:
            genome, chain = Genome(self.hyper), self.chain(self.hyper)
            found = [
                [
                    self._stage_bounds((stage_facts(stage), place))
                    for windows in choices
                    for stage in windows
                ]
                for choices, place in zip(genome.alternatives, chain.places, strict=True)
            ]
            bounds = [_envelope([b for b, _ in alternatives]) for alternatives in found]
            spreads = [max(spread for _, spread in alternatives) for alternatives in found]
            extent = joined_extent(bounds, spreads, np.array(chain.total_ms))
            extent = replace(extent, loss_spread=SEARCHED_SPREAD * extent.loss_spread)
            self._whole = Grid(self.limits_ms, extent, detail)
        return self._whole

    def operator(self, stage: Stage, grid: Grid, shift: float = 0.0) -> StageOperator:
        """As `fresh_operator`, kept."""
        facts, place = stage
        key = (facts.identity, place, grid.detail, grid.extent, shift)
        return self._operators.get(key, lambda: self.fresh_operator(stage, grid, shift))

    def fresh_operator(self, stage: Stage, grid: Grid, shift: float = 0.0) -> StageOperator:
        """The operator of a stage in its place, its losses raised by `shift` and floored at 0."""
        facts, place = stage
        if isinstance(self.inner, RowsScorer):
            return rows_operator(self._rows(stage, shift), grid)
        losses = self.inner.stage_loss(place.number, facts)
        tables = self.inner.stage_tables(facts, place, losses)
        return model_operator(facts, tables, shifted(losses, shift), grid)

    def least_loss(self, stage: Stage) -> float:
        """No subnet has a smaller loss in this stage."""
        facts, place = stage
        least = self._stage_bounds(stage)[0].least.min()
        if isinstance(self.inner, RowsScorer):
            return float(least)
        return float(self.inner.stage_loss(place.number, facts).link(np.asarray(least)))

    def _transformed(
        self, stages: list[Stage], chain: Chain, grid: Grid, shifts: Mapping[int, float]
    ) -> tuple[LimitScore, ...]:
        floored, shift = self._floored(stages, shifts)
        operators = [
            self.operator(stage, grid, floored.get(stage[1].number, 0.0)) for stage in stages
        ]
        transform, least = joint(operators, np.array(chain.total_ms), grid)
        reached = probabilities(transform, least, grid)
        samples, best = self.settings.samples, self.settings.best
        scores = expected_best(reached, least + shift + grid.offsets, samples, best)
        return limit_scores(self.limits_ms, scores, reached[:, -1], samples, best)

    def _floored(
        self, stages: list[Stage], shifts: Mapping[int, float]
    ) -> tuple[dict[int, float], float]:
        """Shifts that bring some loss of their stage below 0, by its number; and the sum of the
        others, which only move the losses of the whole."""
        found = {place.number: shifts.get(place.number, 0.0) for _, place in stages}
        floored = {
            stage[1].number: found.pop(stage[1].number)
            for stage in stages
            if found[stage[1].number] < 0 and self.least_loss(stage) + found[stage[1].number] < 0
        }
        return floored, sum(found.values())

    def _extent(self, stages: list[Stage], chain: Chain) -> Extent:
        found = [self._stage_bounds(stage) for stage in stages]
        bounds, spreads = [b for b, _ in found], [spread for _, spread in found]
        return joined_extent(bounds, spreads, np.array(chain.total_ms))

    def _stage_bounds(self, stage: Stage) -> tuple[Bounds, float]:
        """Bounds of a stage, and the greatest less the least of its losses."""
        key = ("bounds", stage[0].identity, stage[1])
        if key not in self._bounds:
            self._bounds[key] = self._computed_bounds(stage)
        return self._bounds[key]

    def _computed_bounds(self, stage: Stage) -> tuple[Bounds, float]:
        facts, place = stage
        if isinstance(self.inner, RowsScorer):
            found = rows_bounds(self._rows(stage))
            return found, float(found.most.max() - found.least.min())
        losses = self.inner.stage_loss(place.number, facts)
        found = model_bounds(facts, self.inner.stage_tables(facts, place, losses))
        low, high = losses.link(np.array([found.least.min(), found.most.max()]))
        return found, float(high - low)

    # --- enumeration

    def _count(self, stages: list[Stage], chain: Chain) -> int:
        """Subnets of a space, or combinations of rows."""
        if isinstance(self.inner, RowsScorer):
            tables = [self._rows(stage) for stage in stages]
            counts = [prod(len(rows[r][0]) for rows in tables) for r in range(len(tables[0]))]
            return sum(counts)
        each = (sum((len(f.widths) * len(f.combos)) ** d for d in f.depths) for f, _ in stages)
        return len(chain.resolutions) * int(prod(each))

    def _enumerated(
        self, stages: list[Stage], chain: Chain, shifts: Mapping[int, float]
    ) -> tuple[LimitScore, ...]:
        floored, shift = self._floored(stages, shifts)
        whole: list[atoms.Atoms] = []
        for r, ms in enumerate(chain.total_ms):
            state = [atoms.Atoms.point(ms, 0.0, 1.0 / len(chain.total_ms))]
            for stage in stages:
                if stage[1].upstream.number == 0:  # a fixed part comes before
                    state = [atoms.merged(state, ATOMS)]
                step = self._stage_atoms(stage, r, len(state), floored.get(stage[1].number, 0.0))
                state = [
                    atoms.merged(
                        [a.plus(row[w], ATOMS) for a, row in zip(state, step, strict=True)], ATOMS
                    )
                    for w in range(len(step[0]))
                ]
            whole.extend(state)
        found = atoms.merged(whole, ATOMS)
        moved = replace(found, loss=found.loss + shift)
        samples, best = self.settings.samples, self.settings.best
        values = [atoms.exact_best(moved, t, samples, best) for t in self.limits_ms]
        scores, reached = np.array(values).T
        return limit_scores(self.limits_ms, scores, reached, samples, best)

    def _stage_atoms(
        self, stage: Stage, r: int, count: int, shift: float = 0.0
    ) -> list[list[atoms.Atoms]]:
        facts, place = stage
        if isinstance(self.inner, RowsScorer):
            return [[atoms.row_atoms(*self._rows(stage, shift)[r])]]
        losses = self.inner.stage_loss(place.number, facts)
        tables = self.inner.stage_tables(facts, place, losses)
        losses = shifted(losses, shift)
        return [atoms.stage_atoms(facts, tables, losses, r, cin, ATOMS) for cin in range(count)]

    def _rows(self, stage: Stage, shift: float = 0.0) -> list[tuple[Floats, Floats]]:
        if not isinstance(self.inner, RowsScorer):
            raise TypeError(self.inner.name)
        rows = [found for found in self.inner.rows_of(*stage) if found is not None]
        return [(ms, np.maximum(loss + shift, 0.0)) for ms, loss in rows] if shift else rows


def _envelope(bounds: list[Bounds]) -> Bounds:
    """Bounds of whichever of some stages, per resolution, as if of one width."""

    def extreme(name: str, low: bool) -> Floats:
        arrays = [getattr(b, name) for b in bounds]
        rows = [a.min(axis=(1, 2)) if low else a.max(axis=(1, 2)) for a in arrays]
        found = np.min(rows, axis=0) if low else np.max(rows, axis=0)
        return np.asarray(found)[:, None, None]

    return Bounds(
        extreme("least_ms", True),
        extreme("most_ms", False),
        extreme("least", True),
        extreme("most", False),
    )
