"""One score for several targets: the sum of a space's Q-T scores, or the worst of them, and which
spaces no other beats on every target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Self, TypeVar

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.scorer import Scorer, Shifts
from spacedsl.search.space_score import LimitScore, ScoreSettings, SpaceScore

T = TypeVar("T")


@dataclass(frozen=True)
class CombinedScore:
    """A space's `score` over targets; `parts`: target and score of each."""

    score: float
    combine: Combine
    parts: tuple[tuple[str, SpaceScore], ...]

    @property
    def limits(self) -> tuple[LimitScore, ...]:
        """Those of all targets in turn."""
        return tuple(chain.from_iterable(part.limits for _, part in self.parts))


class CombinedScorer:
    """Scores spaces of one hyperspace for several targets, by name; all scorers are of one kind and
    have the same settings but for the limits. Their scores are in one unit: those in 1/loss by one
    table of losses, since 1/loss means nothing outside its table. Raises `SpaceError`."""

    def __init__(self, parts: Mapping[str, Scorer], combine: Combine) -> None:
        self.parts, self.combine = dict(parts), combine
        _require_one_unit(self.parts)
        ends = accumulate((len(p.limits_ms) for p in parts.values()), initial=0)
        self._slices = [slice(a, b) for a, b in pairwise(ends)]

    @property
    def _any(self) -> Scorer:
        return next(iter(self.parts.values()))

    @property
    def hyper(self) -> Space:
        """The hyperspace."""
        return self._any.hyper

    @property
    def name(self) -> str:
        """What kind the scorers are of."""
        return self._any.name

    @property
    def settings(self) -> ScoreSettings:
        """Of all of them, but for the limits."""
        return self._any.settings

    @property
    def identity(self) -> dict[str, object]:
        """Everything a score depends on, apart from the space."""
        return {
            "hyperspace": self._any.identity["hyperspace"],
            "combine": self.combine.value,
            "targets": {name: part.identity for name, part in self.parts.items()},
        }

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """Those of all targets in turn, in milliseconds."""
        return tuple(chain.from_iterable(part.limits_ms for part in self.parts.values()))

    def require(self, space: Space) -> None:
        """Raises `SpaceError` where a target could not score a space of the hyperspace."""
        for part in self.parts.values():
            part.require(space)

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The scores of spaces under each limit of each target."""
        each = [part.limits(genome, genotypes) for part in self.parts.values()]
        return (tuple(chain.from_iterable(limits)) for limits in zip(*each, strict=True))

    def by_target(self, limits: Sequence[LimitScore]) -> tuple[float, ...]:
        """A space's score on each target, from its scores under all limits."""
        parts = zip(self.parts.values(), self._slices, strict=True)
        return tuple(part.total(limits[some]) for part, some in parts)

    def total(self, limits: Sequence[LimitScore]) -> float:
        """A space's score from those under all limits."""
        return combined(self.by_target(limits), self.combine)

    def score(self, space: Space, shifts: Shifts | None = None) -> CombinedScore:
        """The score of a space, as `Scorer.score` on each target."""
        found = tuple((name, part.score(space, shifts)) for name, part in self.parts.items())
        value = combined([part.score for _, part in found], self.combine)
        return CombinedScore(value, self.combine, found)

    def reseeded(self, seed: int) -> Self:
        """The same with other random subnets."""
        parts = {name: part.reseeded(seed) for name, part in self.parts.items()}
        return type(self)(parts, self.combine)


def _require_one_unit(parts: Mapping[str, Scorer]) -> None:
    units = {name: part.unit for name, part in parts.items()}
    tables = {part.quality_identity for part in parts.values()}
    listed = ", ".join(f"{name} in {unit}" for name, unit in units.items())
    if len(set(units.values())) > 1:
        message = f"scores in different units are never added: {listed}"
        help = "`spacedsl tables calibrate` gives a table of losses accuracies in percent"
        raise fault("bad-option", message, help)
    if "1/loss" in units.values() and len(tables) > 1:
        message = f"scores in 1/loss of different quality tables are never added: {listed}"
        raise fault("bad-option", message, "use one quality table for all targets")


def combined(scores: Sequence[float], combine: Combine) -> float:
    """One score of several."""
    return math.fsum(scores) if combine is Combine.sum else min(scores)


def pareto(found: Iterable[tuple[tuple[float, ...], T]]) -> list[tuple[tuple[float, ...], T]]:
    """Those of which no other has greater or equal scores, one of them greater; of equals the
    first. Best on the first target first."""
    front: list[tuple[tuple[float, ...], T]] = []
    for scores, item in sorted(found, key=lambda f: f[0], reverse=True):
        # what is beaten is beaten by one that comes before it
        if not any(all(a >= b for a, b in zip(f, scores, strict=True)) for f, _ in front):
            front.append((scores, item))
    return front
