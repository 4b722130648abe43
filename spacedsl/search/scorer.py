"""What scorers have in common: from a space to its Q-T score.

What an elastic stage contributes to the n subnets depends on the stage and on what comes in, and is
kept between spaces; a space's score is then a sum of vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Self

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.operators.size import Size
from spacedsl.search.block_tables import StagePlace
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Genome, Genotype, canonical_choices, narrowed
from spacedsl.search.draws import Draws
from spacedsl.search.fixed import Chain, Chains, Gap
from spacedsl.search.protocols import Floats, Ints, LatencyModel, Unit
from spacedsl.search.space_score import (
    LimitScore,
    ScoreSettings,
    SpaceScore,
    authors_score,
    coverage_shares,
    limit_score,
)
from spacedsl.search.stage_facts import StageFacts, require_space, stage_facts
from spacedsl.search.stage_vectors import KINDS, StageVectors

CACHE_BYTES = 192 << 20
"""Memory for the vectors of stages."""

GAPS_SHOWN = 20

Shifts = Mapping[int, float]
"""What to add to the loss of elastic stages, by number from 1."""


class Scorer(ABC):
    """Scores spaces of one hyperspace; results depend on its arguments only, not on what was
    scored before."""

    name: str

    def __init__(
        self, hyper: Space, latency: LatencyModel, known: tuple[Size, ...], chosen: ScoreSettings
    ) -> None:
        self.hyper, self.latency, self.settings = hyper, latency, chosen
        self.resolutions = tuple(r for r in latency.resolutions if r in known)
        self._chains = Chains(latency)
        self._draw()

    def _draw(self) -> None:
        """Random subnets by the settings, of which nothing is known yet."""
        chosen = self.settings
        lots = range(len(chosen.limits_ms)) if chosen.definition == "authors" else range(-1, 0)
        self._draws = [Draws(chosen.seed, chosen.samples, lot + 1) for lot in lots]
        self._vectors: ByteCache[StageVectors] = ByteCache(CACHE_BYTES, lambda v: v.nbytes)

    @property
    @abstractmethod
    def quality_identity(self) -> str:
        """Content hash of where losses come from."""

    @abstractmethod
    def missing(self, facts: StageFacts, place: StagePlace) -> list[str]:
        """What the tables lack for a stage of a space in its place, in words."""

    @abstractmethod
    def compute(self, facts: StageFacts, place: StagePlace, draws: Draws) -> StageVectors:
        """The contribution of a stage that lacks nothing."""

    def reseeded(self, seed: int) -> Self:
        """The same scorer with other random subnets; what depends on none is shared."""
        other = copy(self)
        other.settings = replace(self.settings, seed=seed)
        other._draw()
        return other

    @property
    def unit(self) -> Unit:
        """What scores are in."""
        return "1/loss"

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """Latency limits in milliseconds."""
        return self.settings.limits_ms

    @property
    def identity(self) -> dict[str, object]:
        """Everything a score depends on, apart from the space."""
        chosen = self.settings
        return {
            "hyperspace": space_identity(self.hyper),
            "latency": self.latency.identity,
            "quality": self.quality_identity,
            "scorer": self.name,
            "definition": chosen.definition,
            "limits_ms": list(chosen.limits_ms),
            "samples": chosen.samples,
            "best": chosen.best,
            "score_seed": chosen.seed,
        }

    def chain(self, space: Space) -> Chain:
        """Places and fixed parts at the resolutions that space and tables share."""
        resolutions = tuple(r for r in space.resolutions if r in self.resolutions)
        if not resolutions:
            declared, known = (
                ", ".join(map(str, rs)) for rs in (space.resolutions, self.resolutions)
            )
            message = f"the tables know none of the resolutions of `{space.name}`: {declared}"
            raise fault("no-resolution", message, f"they know {known or 'none in common'}")
        return self._chains.walk(space, resolutions)

    def gaps(self, space: Space) -> tuple[Gap, ...]:
        """What is not elastic before, between and after the elastic stages, at the resolutions of
        `chain`."""
        return self._chains.gaps(space, self.chain(space).resolutions)

    def score(self, space: Space, shifts: Shifts | None = None) -> SpaceScore:
        """The Q-T score of a space; losses of shifted stages are raised (and floored at 0). Raises
        `SpaceError` where a table does not cover what the space needs."""
        require_space(space)
        chain = self.chain(space)
        facts = [stage_facts(space.stages[position]) for position in space.elastic]
        chosen, best = self.settings, self.settings.best
        counts = np.zeros(KINDS, dtype=np.int64)
        sums = [
            self._sums(space, chain, facts, draws, shifts or {}, counts) for draws in self._draws
        ]
        if chosen.definition == "authors":
            limits = tuple(
                authors_score(latency_ms, loss, limit, best)
                for limit, (latency_ms, loss) in zip(chosen.limits_ms, sums, strict=True)
            )
        else:
            latency_ms, loss = sums[0]
            accuracy = 1.0 / loss
            limits = tuple(limit_score(latency_ms, accuracy, t, best) for t in chosen.limits_ms)
        return SpaceScore(
            score=self.total(limits),
            limits=limits,
            chain=chain,
            coverage=coverage_shares(counts.tolist()),
            settings=chosen,
            scorer=self.name,
        )

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The scores of spaces of a hyperspace under each limit."""
        return (self.score(genome.to_space(g, "candidate")).limits for g in genotypes)

    def total(self, limits: Sequence[LimitScore]) -> float:
        """A space's score from those under each limit."""
        return self.settings.total(limits)

    def _sums(
        self,
        space: Space,
        chain: Chain,
        facts: Sequence[StageFacts],
        draws: Draws,
        shifts: Shifts,
        counts: Ints,
    ) -> tuple[Floats, Floats]:
        """Latency in ms and loss of each subnet, (n,) each; adds to `counts`, by coverage."""
        self.require_fixed(space, chain)
        latency_ms = np.array(chain.total_ms)[draws.resolution(chain.resolutions)]
        loss: Floats = np.zeros(draws.count)
        for stage, place in zip(facts, chain.places, strict=True):
            vectors = self._stage(space, stage, place, draws)
            latency_ms += vectors.latency_ms
            shift = shifts.get(place.number, 0.0)
            loss += np.maximum(vectors.loss + shift, 0.0) if shift else vectors.loss
            counts += vectors.counts
        return latency_ms, loss

    def _stage(
        self, space: Space, facts: StageFacts, place: StagePlace, draws: Draws
    ) -> StageVectors:
        key: Hashable = (draws.lot, facts.identity, place)

        def make() -> StageVectors:
            if self.missing(facts, place):
                self.require(space)
            return self.compute(facts, place, draws)

        return self._vectors.get(key, make)

    def require_fixed(self, space: Space, chain: Chain) -> None:
        gaps = [f"{part.name}: latency of {s}" for part in chain.fixed for s in part.missing]
        if gaps:
            raise uncovered(space, gaps)

    def require(self, space: Space) -> None:
        """Raises `SpaceError` that lists what the tables lack for a space or hyperspace."""
        chain = self.chain(space)
        self.require_fixed(space, chain)
        gaps: dict[str, None] = {}
        for position, place in zip(space.elastic, chain.places, strict=True):
            stage = space.stages[position]
            for choice in canonical_choices(stage):
                if self.missing(stage_facts(narrowed(stage, choice, stage.widths)), place):
                    for window in stage.windows:  # perhaps none needs what is missing
                        facts = stage_facts(narrowed(stage, choice, window))
                        gaps.update(dict.fromkeys(self.missing(facts, place)))
        if gaps:
            raise uncovered(space, list(gaps))


def uncovered(space: Space, gaps: Sequence[str]) -> Exception:
    """The error that lists what tables lack."""
    shown = "\n    ".join(gaps[:GAPS_SHOWN])
    rest = len(gaps) - GAPS_SHOWN
    more = f"\n    and {rest:,} more" if rest > 0 else ""
    entries = "1 entry" if len(gaps) == 1 else f"{len(gaps):,} entries"
    message = f"the tables lack {entries} that `{space.name}` needs:\n    {shown}{more}"
    help = (
        "leave these out of the space, or name tables that cover them; `spacedsl explain "
        "uncovered` says what shipped tables know"
    )
    return fault("uncovered", message, help)
