"""All spaces of a narrow hyperspace scored at full detail, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spacedsl.ir.identity import digest, space_identity
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.exact.detail import Full, Trust
from spacedsl.search.exact.found import RIVALS, Optimum, Progress, Ranked, named
from spacedsl.search.exact.joint import Joint
from spacedsl.search.exact.task_log import Pieces
from spacedsl.search.journal import Evaluated
from spacedsl.search.scorer import Scorer

EXHAUSTIVE = 20_000
"""Hyperspaces of at most so many spaces are scored one by one where a search cannot be trusted."""

PIECE = 16
"""Spaces that are scored as one piece of work."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Those of some spaces, in turn."""

    scores: tuple[float, ...]

    def encoded(self) -> object:
        """Plain data."""
        return self.scores

    @classmethod
    def decoded(cls, value: Sequence[Any]) -> Scores:
        """The inverse of `encoded`."""
        return cls(tuple(map(float, value)))


@dataclass(frozen=True, slots=True)
class Everything:
    """What a process scores spaces with."""

    genome: Genome
    full: Full

    def scored(self, genotypes: Sequence[Genotype]) -> Scores:
        """At full detail."""
        spaces = (self.genome.to_space(genotype, "any") for genotype in genotypes)
        return Scores(tuple(self.full(space).score for space in spaces))


def one_by_one(
    scorer: Scorer | CombinedScorer,
    joint: Joint,
    everything: Everything,
    pieces: Pieces,
    history: Sequence[Evaluated],
    trusted: Trust,
    top: int,
    name: str,
    progress: Callable[[Progress], None] | None,
) -> Optimum:
    """The best `top` spaces by scoring all; where time is up, of those that were scored. An
    evolution's `history` says what it ended with."""
    genome = joint.genome
    kept = [g for g in map(genome.at, range(genome.size)) if genome.keeps(g)]
    runs = [kept[i : i + PIECE] for i in range(0, len(kept), PIECE)]
    scores: dict[Genotype, float] = {}
    work = list(enumerate(runs))
    for i, found in pieces("spaces", Everything.scored, Scores.decoded, work):
        scores.update(zip(runs[i], found.scores, strict=True))
        if progress is not None:
            most = max(scores.values())
            progress(Progress("scores", i + 1, len(runs), len(scores), most, joint.most))
    finished = len(scores) == len(kept)
    evolved = history[0].genotype
    best = sorted(scores or {evolved: 0.0}, key=lambda g: (-scores.get(g, 0.0), g))
    ranked = []
    for genotype in best[: top + RIVALS]:
        space = genome.to_space(genotype, name)
        result = everything.full(space)
        ranked.append(Ranked(space, result, result.score))
    ranked.sort(key=lambda r: (-r.result.score, space_identity(r.space)))
    greatest = ranked[0].result.score + ranked[0].error
    return Optimum(
        best=tuple(named(r, name, i) for i, r in enumerate(ranked[:top])),
        rivals=tuple(ranked[top:]),
        bound=greatest if finished else max(greatest, joint.most),
        precision=0.0,
        deviation=trusted.deviation,
        enumerated=len(scores),
        pruned={"over the limit": genome.size - len(kept)} if genome.within else {},
        open=len(kept) - len(scores),
        size=genome.size,
        rescored=len(scores),
        complete=finished,
        evolution=everything.full(genome.to_space(evolved, "any")).score,
        cycles=len(history),
        tables=digest(scorer.identity),
    )
