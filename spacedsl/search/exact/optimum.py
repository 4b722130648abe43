"""The best spaces of a whole hyperspace, with a certificate: branch and bound.

1. Aging evolution with exact scores, and a climb from its best, give spaces to beat.
2. Families of spaces (see `branch`) are bounded; spaces that cannot be among the best are pruned.
3. What is left is scored from the greatest bound on, until no bound reaches the best.
4. Spaces whose score comes within the precision of the best are scored again at full detail."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from spacedsl.ir.identity import digest, space_identity
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.evolve import CYCLES, POPULATION, SAMPLE, Evolution
from spacedsl.search.exact.branch import KEPT, Bounded, Branch, Scored
from spacedsl.search.exact.executors import Executor, serial
from spacedsl.search.exact.halves import Halves
from spacedsl.search.exact.leaves import ROUND, Leaves
from spacedsl.search.exact.neighbours import climbed
from spacedsl.search.exact.pairs import PRECISION, Pairs
from spacedsl.search.exact.score import ExactScore
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.exact.task_log import Pieces, TaskLog
from spacedsl.search.journal import Evaluated
from spacedsl.search.stream import Stream

RIVALS = 5
"""Spaces after the best ones that a certificate lists."""

BEATEN = 100
"""Spaces that the evolution ended with, at which tangents are tried."""


CHECKED = 4
"""Spaces of the evolution, as many of the best as of all, whose scores at the detail of searches
are compared with those at full detail before the search."""

SAFETY = 4.0
"""What the largest deviation found there is multiplied with to give a precision."""


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
    result: ExactScore
    searched: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best spaces, best first, and why nothing is better. `bound`: no space scores more, given
    that no score or bound of the search is off by more than `precision`, a share of the best score.
    Of `size` spaces some were `enumerated` (scored), pruned (by rule) or, if the search was
    stopped, left `open`; `complete`: these are the best spaces. `deviation`: the largest difference
    between scores of the search and those at full detail, as a share of the best score, of the
    `rescored` spaces and of some that the evolution scored. `evolution`: the score that aging
    evolution ended with after `cycles` spaces. `tables`: a hash of all that scores depend on."""

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
    evolution: float
    cycles: int
    tables: str

    @property
    def space(self) -> Space:
        """The best space."""
        return self.best[0].space

    @property
    def result(self) -> ExactScore:
        """Its score."""
        return self.best[0].result


def evolved(pairs: Pairs, cycles: int, seed: int = 0) -> list[Evaluated]:
    """What aging evolution scored, best first; population and sample are the method's."""
    evolution = Evolution(pairs.halves.genome, POPULATION, SAMPLE, Stream(seed))
    history: list[Evaluated] = []
    while len(history) < cycles and not evolution.exhausted:
        proposed = evolution.propose()[: cycles - len(history)]
        if not proposed:
            break
        scores = pairs.limits(proposed).sum(axis=1).tolist()
        scored = tuple(
            Evaluated(len(history) + i, g, "", score, ())
            for i, (g, score) in enumerate(zip(proposed, scores, strict=True))
        )
        history += scored
        evolution.tell(scored)
    if not history:
        raise pairs.halves.genome.unkept()
    return sorted(history, key=lambda r: (-r.score, r.index))


class _Best:
    """The candidates for the best `top` spaces, by search score."""

    def __init__(self, top: int, precision: float) -> None:
        self.top, self.precision = top, precision
        self.scores: dict[Genotype, float] = {}
        self.spaces, self.lost = 0, -math.inf

    def take(self, found: Scored) -> None:
        """What scoring some spaces gave."""
        self.spaces += found.spaces
        self.scores.update({genotype: score for score, genotype in found.candidates})
        if found.more:
            self.lost = max(self.lost, found.candidates[-1][0])

    @property
    def least(self) -> float:
        """Spaces with a smaller score or bound are not among the best."""
        scores = sorted(self.scores.values(), reverse=True)
        if len(scores) < self.top:
            return -math.inf
        return scores[self.top - 1] - 2 * self.precision * scores[0]

    def near(self) -> list[tuple[Genotype, float]]:
        """The candidates that may be among the best, best first."""
        least = self.least
        found = [(g, s) for g, s in self.scores.items() if s >= least]
        return sorted(found, key=lambda c: (-c[1], c[0]))


def optimum(
    scorer: ExactScorer,
    executor: Executor = serial,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    name: str = "optimum",
    top: int = 1,
    seconds: float = math.inf,
    cycles: int = CYCLES,
) -> Optimum:
    """The best `top` spaces of the scorer's hyperspace. With a `journal`, every finished piece of
    work is written there; `resume` goes on from it. After about `seconds` the search stops and says
    how large the gap still is. Results do not depend on the executor. Raises `SpaceError`."""
    if not scorer.searching:
        raise ValueError("an optimum needs a scorer that searches")
    end = time.monotonic() + seconds
    identity = {**scorer.identity, "precision": PRECISION, "top": top, "cycles": cycles}
    with TaskLog(journal, identity, resume) if journal else nullcontext() as log:
        halves = Halves(scorer)
        halves.prepare()
        history = evolved(Pairs(halves), cycles)
        top_most = climbed(Pairs(halves), history[0].genotype, history[0].score)
        beaten = [top_most[0], *(r.genotype for r in history[:BEATEN])]
        deviation = _deviation(scorer, halves.genome, history)
        for attempt in itertools.count():
            best = _Best(min(top, halves.genome.kept), max(PRECISION, SAFETY * deviation))
            best.scores.update({r.genotype: r.score for r in history[: best.top]})
            best.scores.update([top_most])
            branch = Branch(Pairs(halves), beaten, best.least)
            pieces = Pieces(executor, branch, log, end, attempt)
            search = _Search(branch, pieces, best, progress)
            finished = search.bound_families() and search.score_leaves()
            found = _certified(scorer, search, history, name, finished, deviation)
            if not finished or found.deviation <= found.precision:
                return found
            deviation = found.deviation  # the search was less precise than was thought: again
    raise AssertionError("the last attempt returns")


class _Search:
    """What is known so far. `bound`: no space that is still open scores more."""

    def __init__(
        self,
        branch: Branch,
        pieces: Pieces,
        best: _Best,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.branch, self.best = branch, best
        self._pieces, self._progress = pieces, progress
        halves = branch.halves
        self.bound = len(halves.scorer.limits_ms) / halves.least_loss
        self.families: dict[int, Bounded] = {}
        self._pruned = 0

    def bound_families(self) -> bool:
        """Whether all were."""
        work = list(enumerate(self.branch.families))
        for i, found in self._pieces("family", Branch.bounded, Bounded.decoded, work):
            self.families[i] = found
            self._pruned += sum(found.pruned)
            if found.scored:
                self.best.take(found.scored)
            self._show("bounds", len(self.families), len(work))
        return len(self.families) == len(work)

    def score_leaves(self) -> bool:
        """Whether all were that had to be."""
        leaves, done = Leaves(self.families), 0
        least = max(self.best.least, self.branch.least)
        self.bound = leaves.bound(0) * (1 + self.best.precision)
        while leaves.bound(done) >= least:
            some = range(done, min(done + ROUND, leaves.pieces))
            items = [(i, _Piece(_genotypes(self.branch, leaves, i), least)) for i in some]
            for i, scored in self._pieces("leaves", _score, Scored.decoded, items):
                self.best.take(scored)
                done = i + 1
                self.bound = leaves.bound(done) * (1 + self.best.precision)
                self._show("scores", done, leaves.pieces)
            if done < some.stop:
                return False
            least = max(self.best.least, self.branch.least)
        return True

    def pruned(self) -> dict[str, int]:
        """Spaces by the tangent that pruned them."""
        rules = ["over the limit"] if self.branch.halves.genome.within else [""]
        rules += [f"tangent {i + 1}" for i in range(len(self.branch.tangents))]
        counts = [sum(f.pruned[i] for f in self.families.values()) for i in range(len(rules))]
        return {rule: count for rule, count in zip(rules, counts, strict=True) if rule}

    def _show(self, phase: str, done: int, of: int) -> None:
        if self._progress is not None:
            score = max(self.best.scores.values(), default=0.0)
            decided = self._pruned + self.best.spaces
            self._progress(Progress(phase, done, of, decided, score, max(self.bound, score)))


def _certified(
    scorer: ExactScorer,
    search: _Search,
    history: Sequence[Evaluated],
    name: str,
    finished: bool,
    deviation: float,
) -> Optimum:
    best, genome = search.best, search.branch.halves.genome
    slack = 1 + best.precision
    full, near, least = ExactScorer(scorer.inner), best.near(), best.least
    ranked = []
    for genotype, score in near[:KEPT]:
        space = genome.to_space(genotype, name)
        ranked.append(Ranked(space, full.score(space), score))
    ranked.sort(key=lambda r: (-r.result.score, space_identity(r.space)))
    differences = [abs(r.searched - r.result.score) for r in ranked]
    deviation = max(deviation, max(differences) / (ranked[0].result.score or 1.0))
    rules = search.pruned()
    left = genome.size - sum(rules.values()) - best.spaces
    if finished:
        rules["bound below the best score"] = left
    unsure = [s * slack for s in (best.lost, *(s for _, s in near[KEPT:])) if s >= least]
    if not finished:
        unsure.append(search.bound)
    return Optimum(
        best=tuple(_named(r, name, i) for i, r in enumerate(ranked[: best.top])),
        rivals=tuple(ranked[best.top : best.top + RIVALS]),
        bound=max([ranked[0].result.score + ranked[0].result.error, *unsure]),
        precision=best.precision,
        deviation=deviation,
        enumerated=best.spaces,
        pruned=rules,
        open=0 if finished else left,
        size=genome.size,
        rescored=len(ranked),
        complete=finished and not unsure,
        evolution=history[0].score,
        cycles=len(history),
        tables=digest(scorer.identity),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    genotypes: list[Genotype]
    least: float


def _score(branch: Branch, piece: _Piece) -> Scored:
    return branch.scored(piece.genotypes, piece.least)


def _genotypes(branch: Branch, leaves: Leaves, piece: int) -> list[Genotype]:
    return [branch.genotype(branch.families[f], h, t) for f, h, t in leaves.piece(piece)]


def _deviation(scorer: ExactScorer, genome: Genome, history: Sequence[Evaluated]) -> float:
    """The largest difference between the detail of searches and full detail, as a share of the best
    score."""
    full, spread = ExactScorer(scorer.inner), -(-len(history) // CHECKED)
    found = [
        abs(r.score - full.score(genome.to_space(r.genotype, "any")).score)
        for r in (*history[:CHECKED], *history[CHECKED::spread])
    ]
    return max(found) / history[0].score if history[0].score else 0.0


def _named(ranked: Ranked, name: str, place: int) -> Ranked:
    chosen = name if place == 0 else f"{name}-{place + 1}"
    space = ranked.space.model_copy(update={"name": chosen})
    return Ranked(space, ranked.result, ranked.searched)
