"""The elastic stages of a hyperspace in a row, and the fronts of their alternatives.

A network's latency is the whole one: what is not elastic is as small as it can be, but sees the
widths that really come in, so its latency is counted with the elastic stage before it."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spacedsl.ir.space import Space, Stage
from spacedsl.search.block_tables import StageTables
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Gene, Genome, canonical_choices, narrowed
from spacedsl.search.exact.front import Front, stage_fronts
from spacedsl.search.exact.operators import model_bounds
from spacedsl.search.exact.shifted import shifted
from spacedsl.search.protocols import Floats, StageLoss
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.scorer import Shifts, uncovered
from spacedsl.search.stage_facts import StageFacts, stage_facts

FRONT_BYTES = 256 << 20
"""Memory for the fronts of stages."""


@dataclass(frozen=True, slots=True)
class StageFront:
    """One gene of an elastic stage: its front at each of R resolutions, by C widths in (all that
    may come in) and W widths out (its window), the fixed parts that follow in the latency."""

    facts: StageFacts
    fronts: tuple[tuple[tuple[Front, ...], ...], ...]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        each = (f for rows in self.fronts for row in rows for f in row)
        return sum(f.ms.nbytes + f.loss.nbytes + f.blocks.nbytes for f in each)


class Line:
    """`layers`: how many best networks are asked for, at least."""

    def __init__(self, scorer: ModelScorer, hyper: Space, layers: int) -> None:
        self.scorer, self.layers = scorer, layers
        self.shifts: Shifts = {}
        self.genome = Genome(hyper)
        chain = scorer.chain(hyper)
        self.resolutions = chain.resolutions
        self._places = chain.places
        gaps = scorer.gaps(hyper)
        missing = dict.fromkeys(text for gap in gaps for text in gap.missing)
        if missing:
            raise uncovered(hyper, list(missing))
        self.first_ms: Floats = gaps[0].ms[:, 0]
        self._after_ms = [gap.ms for gap in gaps[1:]]
        self._kept: ByteCache[StageFront] = ByteCache(FRONT_BYTES, lambda f: f.nbytes)

    @property
    def stages(self) -> int:
        """How many elastic stages there are."""
        return len(self._places)

    @cached_property
    def carries(self) -> tuple[bool, ...]:
        """For each elastic stage: does the next elastic one read its width? The width of the last
        one is read by none. Nor is one that a fixed stage with a width of its own follows."""
        numbers = [place.upstream.number for place in self._places[1:]]
        return (*(number > 0 for number in numbers), False)

    def window(self, stage: int, gene: Gene) -> slice:
        """The part of a stage's list of widths that the window of a gene takes up. Stages count
        from 0."""
        size = len(self.genome.alternatives[stage][gene[0]][gene[1]].widths)
        return slice(gene[1], gene[1] + size)

    def genes(self, stage: int) -> list[Gene]:
        """All that an elastic stage (from 0) may be."""
        blocks, windows = self.genome.shape[stage]
        return [(b, w) for b in range(blocks) for w in range(windows)]

    def incoming(self, stage: int) -> int:
        """How many widths may come into an elastic stage, whatever is before it."""
        return len(self._places[stage].upstream.widths)

    def front(self, stage: int, gene: Gene) -> StageFront:
        """The fronts of a gene of an elastic stage (from 0)."""
        return self._kept.get((stage, gene), lambda: self._front(stage, gene))

    def layered(self, layers: int) -> Line:
        """The same for so many best networks, without any front."""
        other = copy(self)
        other.layers = layers
        other._kept = ByteCache(FRONT_BYTES, lambda f: f.nbytes)
        return other

    def shifted(self, shifts: Shifts) -> Line:
        """The same with losses of some stages (by number from 1) raised, but not below 0."""
        other = self.layered(self.layers)
        other.shifts = shifts
        for (stage, gene), front in self._kept.items():
            if stage + 1 not in shifts:
                other.put(stage, gene, front)
        return other

    def put(self, stage: int, gene: Gene, found: StageFront) -> None:
        """Keep fronts that were worked out elsewhere."""
        self._kept.get((stage, gene), lambda: found)

    def least_loss(self, stage: int) -> Floats:
        """(R,) no network has a smaller loss in an elastic stage; no fronts are made."""
        whole = self.genome.hyper.stages[self.genome.hyper.elastic[stage]]
        found = []
        for choice in canonical_choices(whole):
            facts, losses, tables = self._tables(stage, narrowed(whole, choice, whole.widths))
            found.append(losses.link(model_bounds(facts, tables).least.min(axis=(1, 2))))
        least: Floats = np.min(found, axis=0)
        return least

    def _tables(self, stage: int, chosen: Stage) -> tuple[StageFacts, StageLoss, StageTables]:
        facts, place = stage_facts(chosen), self._places[stage]
        losses = self.scorer.stage_loss(place.number, facts)
        losses = shifted(losses, self.shifts.get(place.number, 0.0))
        return facts, losses, self.scorer.stage_tables(facts, place, losses)

    def _front(self, stage: int, gene: Gene) -> StageFront:
        chosen = self.genome.alternatives[stage][gene[0]][gene[1]]
        facts, losses, tables = self._tables(stage, chosen)
        after = self._after_ms[stage][:, self.window(stage, gene)]
        return StageFront(
            facts,
            tuple(
                tuple(
                    tuple(_later(f, ms) for f, ms in zip(row, after[r].tolist(), strict=True))
                    for row in stage_fronts(facts, tables, losses, r, self.layers)
                )
                for r in range(len(self.resolutions))
            ),
        )


def _later(front: Front, ms: float) -> Front:
    return Front(front.ms + ms, front.loss, front.blocks.astype(np.int16))
