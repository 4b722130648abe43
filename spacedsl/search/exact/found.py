"""What a search for an optimum finds: the best spaces and a certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spacedsl.ir.space import Space
from spacedsl.search.combined import CombinedScore
from spacedsl.search.exact.expectation import ExactScore
from spacedsl.search.space_score import SpaceScore

RIVALS = 5
"""Spaces after the best ones that a certificate lists."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: pieces of work done `of` those of this `phase`, spaces decided (scored
    or pruned) of all, the best score, and a bound on what any space scores."""

    phase: str
    done: int
    of: int
    decided: int
    best: float
    bound: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A space at full detail, and its score at the detail of searches."""

    space: Space
    result: SpaceScore | CombinedScore
    searched: float

    @property
    def error(self) -> float:
        """How far the score may be off; on several targets what is off on all of them."""
        parts = (
            [self.result]
            if isinstance(self.result, SpaceScore)
            else [part for _, part in self.result.parts]
        )
        return math.fsum(p.error for p in parts if isinstance(p, ExactScore))


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best spaces, best first, and why nothing is better. `bound`: no space scores more, given
    that no score or bound of the search is off by more than `precision`, a share of the best score.
    Of `size` spaces some were `enumerated` (scored), pruned (by rule) or, if the search was
    stopped, left `open`; `complete`: these are the best spaces. `deviation`: the largest difference
    between scores of the search and those at full detail, as a share of the best score, of the
    `rescored` spaces and of some that the evolution scored. `evolution`: the score that aging
    evolution ended with after `cycles` spaces, None where there
    was none. `tables`: a hash of all that scores depend on."""

    best: tuple[Ranked, ...]
    rivals: tuple[Ranked, ...]
    bound: float
    precision: float
    deviation: float
    enumerated: int
    pruned: dict[str, int]
    open: int
    size: int
    rescored: int
    complete: bool
    evolution: float | None
    cycles: int
    tables: str

    @property
    def space(self) -> Space:
        """The best space."""
        return self.best[0].space

    @property
    def result(self) -> SpaceScore | CombinedScore:
        """Its score."""
        return self.best[0].result


def named(ranked: Ranked, name: str, place: int) -> Ranked:
    """The space of a place among the best (from 0), called after it."""
    chosen = name if place == 0 else f"{name}-{place + 1}"
    space = ranked.space.model_copy(update={"name": chosen})
    return Ranked(space, ranked.result, ranked.searched)
