"""The best spaces of a whole hyperspace, with a certificate: branch and bound.

1. Aging evolution with exact scores, and a climb from its best, give spaces to beat.
2. Families of spaces (see `branch`) are bounded; spaces that cannot be among the best are pruned.
3. What is left is scored from the greatest bound on, until no bound reaches the best.
4. Spaces whose score comes within the precision of the best are scored again at full detail.

A narrow hyperspace, on which scores at the detail of searches are not to be trusted, is scored one
by one instead (see `one_by_one`)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import digest, space_identity
from spacedsl.search.candidate import Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.evolve import CYCLES, POPULATION, SAMPLE, Evolution
from spacedsl.search.exact.branch import KEPT, Bounded, Branch, Scored
from spacedsl.search.exact.detail import SAFETY, TRUSTED, Full, at_full_detail, exact_parts, trust
from spacedsl.search.exact.executors import Executor, serial
from spacedsl.search.exact.found import RIVALS, Optimum, Progress, Ranked, named
from spacedsl.search.exact.halves import Halves
from spacedsl.search.exact.joint import Joint
from spacedsl.search.exact.leaves import ROUND, Leaves
from spacedsl.search.exact.one_by_one import EXHAUSTIVE, Everything, one_by_one
from spacedsl.search.exact.pairs import PRECISION, Pairs
from spacedsl.search.exact.size import require_room
from spacedsl.search.exact.task_log import Pieces, TaskLog
from spacedsl.search.journal import Evaluated
from spacedsl.search.scorer import Scorer
from spacedsl.search.stream import Stream

BEATEN = 100
"""Spaces that the evolution ended with, at which tangents are tried."""


def evolved(joint: Joint, cycles: int, seed: int = 0, end: float = math.inf) -> list[Evaluated]:
    """What aging evolution scored, best first; population and sample are the method's. It stops at
    the time `end`, but scores one space."""
    evolution = Evolution(joint.genome, POPULATION, SAMPLE, Stream(seed))
    history: list[Evaluated] = []
    while len(history) < cycles and not evolution.exhausted:
        late = time.monotonic() > end
        if late and history:
            break
        proposed = evolution.propose()[: 1 if late else cycles - len(history)]
        if not proposed:
            break
        scores = joint.scores(proposed).tolist()
        scored = tuple(
            Evaluated(len(history) + i, g, "", score, ())
            for i, (g, score) in enumerate(zip(proposed, scores, strict=True))
        )
        history += scored
        evolution.tell(scored)
    if not history:
        raise joint.genome.unkept()
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
    scorer: Scorer | CombinedScorer,
    executor: Executor = serial,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    name: str = "optimum",
    top: int = 1,
    seconds: float = math.inf,
    cycles: int = CYCLES,
    exhaustive: int = EXHAUSTIVE,
) -> Optimum:
    """The best `top` spaces of the scorer's hyperspace, on its target or on several. With a
    `journal`, every finished piece of work is written there; `resume` goes on from it. After about
    `seconds` the search stops and says how large the gap still is. Results do not depend on the
    executor. A hyperspace of at most `exhaustive` spaces is scored one by one where the detail of
    searches is not to be trusted. Raises `SpaceError`."""
    parts = exact_parts(scorer)
    require_room(scorer.hyper, paired=True)
    end = time.monotonic() + seconds
    identity = {**scorer.identity, "precision": PRECISION, "top": top, "cycles": cycles}
    with TaskLog(journal, identity, resume) if journal else nullcontext() as log:
        combine = scorer.combine if isinstance(scorer, CombinedScorer) else Combine.sum
        joint = Joint([Pairs(Halves(part)) for part in parts.values()], combine)
        for halves in joint.halves:
            halves.prepare(end)
        history = evolved(joint, cycles, end=end)
        if time.monotonic() > end:
            return _unprepared(scorer, joint, history, name, top)
        top_most = joint.climbed(history[0].genotype, history[0].score)
        beaten = [top_most[0], *(r.genotype for r in history[:BEATEN])]
        full = at_full_detail(scorer)
        trusted = trust(full, joint.genome, history)
        if joint.genome.kept <= exhaustive and not trusted.enough:
            everything = Everything(joint.genome, full)
            pieces = Pieces(executor, everything, log, end, 0)
            return one_by_one(
                scorer, joint, everything, pieces, history, trusted, top, name, progress
            )
        deviation = trusted.deviation
        for attempt in itertools.count():
            best = _Best(min(top, joint.genome.kept), max(PRECISION, SAFETY * deviation))
            best.scores.update({r.genotype: r.score for r in history[: best.top]})
            best.scores.update([top_most])
            branch = Branch(joint, beaten, best.least)
            pieces = Pieces(executor, branch, log, end, attempt)
            search = _Search(branch, pieces, best, progress)
            finished = search.bound_families() and search.score_leaves()
            found = _certified(scorer, full, search, history, name, finished, deviation)
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
        self.bound = branch.joint.most
        self.families: dict[int, Bounded] = {}
        self._pruned = 0

    def bound_families(self) -> bool:
        """Whether all were."""
        work = list(enumerate(self.branch.families))
        for i, found in self._pieces("family", Branch.bounded, Bounded.decoded, work):
            self._require_balance(i, found)
            self.families[i] = found
            self._pruned += sum(found.pruned)
            if found.scored:
                self.best.take(found.scored)
            self._show("bounds", len(self.families), len(work))
        return len(self.families) == len(work)

    def _require_balance(self, number: int, found: Bounded) -> None:
        """Every space of a family is pruned, scored or left open, once."""
        spaces = self.branch.size(self.branch.families[number])
        rest = len(found.heads) if found.scored is None else found.scored.spaces
        if min(found.pruned) < 0 or sum(found.pruned) + rest != spaces:
            raise _unbalanced(f"family {number} has {spaces:,} spaces, its counts another sum")

    def score_leaves(self) -> bool:
        """Whether all were that had to be."""
        leaves, done = Leaves(self.families), 0
        least = max(self.best.least, self.branch.least)
        self.bound = leaves.bound(0) * (1 + self.best.precision)
        while leaves.bound(done) >= least:
            some = range(done, min(done + ROUND, leaves.pieces))
            items = [(i, _Piece(_genotypes(self.branch, leaves, i), least)) for i in some]
            for i, scored in self._pieces("leaves", _score, Scored.decoded, items):
                if scored.spaces != len(items[i - some.start][1].genotypes):
                    raise _unbalanced(f"piece {i} scores another number of spaces than it has")
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
        rules = ["over the limit"] if self.branch.genome.within else [""]
        rules += [f"tangent {i + 1}" for i in range(len(self.branch.planes))]
        counts = [sum(f.pruned[i] for f in self.families.values()) for i in range(len(rules))]
        return {rule: count for rule, count in zip(rules, counts, strict=True) if rule}

    def _show(self, phase: str, done: int, of: int) -> None:
        if self._progress is not None:
            score = max(self.best.scores.values(), default=0.0)
            decided = self._pruned + self.best.spaces
            self._progress(Progress(phase, done, of, decided, score, max(self.bound, score)))


def _certified(
    scorer: Scorer | CombinedScorer,
    full: Full,
    search: _Search,
    history: Sequence[Evaluated],
    name: str,
    finished: bool,
    deviation: float,
) -> Optimum:
    best, genome = search.best, search.branch.genome
    slack = 1 + best.precision
    near, least = best.near(), best.least
    ranked = []
    for genotype, score in near[:KEPT]:
        space = genome.to_space(genotype, name)
        ranked.append(Ranked(space, full(space), score))
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
        best=tuple(named(r, name, i) for i, r in enumerate(ranked[: best.top])),
        rivals=tuple(ranked[best.top : best.top + RIVALS]),
        bound=max([ranked[0].result.score + ranked[0].error, *unsure]),
        precision=best.precision,
        deviation=deviation,
        enumerated=best.spaces,
        pruned=rules,
        open=0 if finished else left,
        size=genome.size,
        rescored=len(ranked),
        complete=finished and not unsure and best.precision <= TRUSTED,
        evolution=history[0].score,
        cycles=len(history),
        tables=digest(scorer.identity),
    )


def _unprepared(
    scorer: Scorer | CombinedScorer, joint: Joint, history: Sequence[Evaluated], name: str, top: int
) -> Optimum:
    """What is known where time was up before any space was bounded."""
    full, genome = at_full_detail(scorer), joint.genome
    spaces = ((genome.to_space(r.genotype, name), r.score) for r in history[:top])
    ranked = [Ranked(space, full(space), score) for space, score in spaces]
    ranked.sort(key=lambda r: (-r.result.score, space_identity(r.space)))
    best = ranked[0].result.score
    apart = max(abs(r.searched - r.result.score) for r in ranked) / (best or 1.0)
    return Optimum(
        best=tuple(named(r, name, i) for i, r in enumerate(ranked)),
        rivals=(),
        bound=max(best + ranked[0].error, joint.most),
        precision=max(PRECISION, SAFETY * apart),
        deviation=apart,
        enumerated=len(history),
        pruned={},
        open=genome.size - len(history),
        size=genome.size,
        rescored=len(ranked),
        complete=False,
        evolution=history[0].score,
        cycles=len(history),
        tables=digest(scorer.identity),
    )


def _unbalanced(why: str) -> Exception:
    message = f"the journal is not one of this search: {why}"
    return fault("bad-journal", message, "remove it and search anew")


@dataclass(frozen=True, slots=True)
class _Piece:
    genotypes: list[Genotype]
    least: float


def _score(branch: Branch, piece: _Piece) -> Scored:
    return branch.scored(piece.genotypes, piece.least)


def _genotypes(branch: Branch, leaves: Leaves, piece: int) -> list[Genotype]:
    return [branch.genotype(branch.families[f], h, t) for f, h, t in leaves.piece(piece)]
