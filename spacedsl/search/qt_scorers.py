"""The two scorers: `model` chains blocks by fitted tables, `rows` takes whole table rows."""

from __future__ import annotations

from collections.abc import Sequence

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import stage_identity
from spacedsl.ir.space import Space
from spacedsl.search.block_tables import BlockTables, StagePlace, StageTables, missing_entries
from spacedsl.search.candidate import Genome
from spacedsl.search.draws import Draws
from spacedsl.search.protocols import (
    Floats,
    LatencyModel,
    QualityModel,
    StageLoss,
    StageRows,
)
from spacedsl.search.scorer import Scorer, Shifts
from spacedsl.search.space_score import Definition, SpaceScore, score_json, score_settings
from spacedsl.search.stage_facts import StageFacts
from spacedsl.search.stage_vectors import StageVectors, chained_vectors, row_vectors

__all__ = ["ModelScorer", "RowsScorer", "Scorer", "SpaceScore", "score_json"]


class ModelScorer(Scorer):
    """Q-T scores on consistent chains: the input width of a stage is the output width of the one
    before. `limits_ms` in milliseconds; `samples` and `best` are the definition's own where they
    are None."""

    name = "model"

    def __init__(
        self,
        hyper: Space,
        latency: LatencyModel,
        quality: QualityModel,
        limits_ms: Sequence[float],
        samples: int | None = None,
        best: int | None = None,
        seed: int = 0,
        definition: Definition = "qt",
        weights: Sequence[float] = (),
    ) -> None:
        chosen = score_settings(limits_ms, samples, best, seed, definition, weights)
        super().__init__(hyper, latency, quality.resolutions, chosen)
        self.quality = quality
        self._tables = BlockTables(latency, quality)
        self._last: tuple[tuple[str, StagePlace], StageTables] | None = None

    @property
    def quality_identity(self) -> str:
        return self.quality.identity

    def missing(self, facts: StageFacts, place: StagePlace) -> list[str]:
        losses = self._tables.stage_loss(place.number, facts)
        if losses is None:
            return [f"{facts.name} {facts.block}: every loss"]
        return missing_entries(facts, place, self.stage_tables(facts, place, losses))

    def compute(self, facts: StageFacts, place: StagePlace, draws: Draws) -> StageVectors:
        losses = self.stage_loss(place.number, facts)
        tables = self.stage_tables(facts, place, losses)
        return chained_vectors(facts, place, tables, losses, draws)

    def stage_loss(self, number: int, facts: StageFacts) -> StageLoss:
        """The losses of elastic stage `number` (from 1), which the tables must have."""
        losses = self._tables.stage_loss(number, facts)
        if losses is None:
            raise LookupError(f"{facts.name} {facts.block}")
        return losses

    def stage_tables(self, facts: StageFacts, place: StagePlace, losses: StageLoss) -> StageTables:
        """Latencies and losses of the blocks of an elastic stage in its place. Those of the last
        stage asked for are kept."""
        key = (facts.identity, place)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._tables.stage(facts, place, losses))
        return self._last[1]


class RowsScorer(Scorer):
    """Q-T scores from the rows of a hyperspace's tables, whose stages need not chain; `latency`
    serves the fixed parts.

    Rows belong to whole stages of spaces of `hyper`, so narrower ones have no score here."""

    name = "rows"

    def __init__(
        self,
        hyper: Space,
        rows: StageRows,
        latency: LatencyModel,
        limits_ms: Sequence[float],
        samples: int | None = None,
        best: int | None = None,
        seed: int = 0,
        definition: Definition = "qt",
        weights: Sequence[float] = (),
    ) -> None:
        chosen = score_settings(limits_ms, samples, best, seed, definition, weights)
        super().__init__(hyper, latency, rows.resolutions, chosen)
        self.rows = rows
        self._whole = tuple(
            frozenset(stage_identity(stage) for windows in choices for stage in windows)
            for choices in Genome(hyper).alternatives
        )

    @property
    def quality_identity(self) -> str:
        return self.rows.identity

    def score(self, space: Space, shifts: Shifts | None = None) -> SpaceScore:
        """As `Scorer.score`, for a space whose elastic stages are whole stages of `hyper`."""
        self.require_whole(space)
        return super().score(space, shifts)

    def require_whole(self, space: Space) -> None:
        """Raises `SpaceError` where an elastic stage is not a whole one of `hyper`."""
        stages = [space.stages[position] for position in space.elastic]
        for number, stage in enumerate(stages, 1):
            whole = number <= len(self._whole) and (
                stage_identity(stage) in self._whole[number - 1]
            )
            if not whole:
                message = f"`{stage.name}` of `{space.name}` is not a stage of `{self.hyper.name}`"
                help = "table rows are of whole block types and windows; use --scorer model"
                raise fault("not-in-rows", message, help)

    def rows_of(self, facts: StageFacts, place: StagePlace) -> list[tuple[Floats, Floats] | None]:
        """Latencies in ms and losses of the rows of an elastic stage, per resolution of its place;
        None where the table has none."""
        found = [
            self.rows.rows(place.number, facts.choice, facts.widths, resolution)
            for resolution in place.resolutions
        ]
        return [rows if rows is not None and len(rows[0]) else None for rows in found]

    def missing(self, facts: StageFacts, place: StagePlace) -> list[str]:
        widths = ", ".join(map(str, facts.widths))
        return [
            f"{facts.name} {facts.block}, widths {widths}: every row at {resolution}"
            for rows, resolution in zip(self.rows_of(facts, place), place.resolutions, strict=True)
            if rows is None
        ]

    def compute(self, facts: StageFacts, place: StagePlace, draws: Draws) -> StageVectors:
        rows = [found for found in self.rows_of(facts, place) if found is not None]
        return row_vectors(facts, place, rows, draws)
