"""The spaces of a hyperspace whose best networks are best, with a certificate: best first.

A node is a choice of genes for the first elastic stages. What its spaces can score at most follows
from the ways through these stages and the least loss that can follow (see `completions`). The node
with the greatest bound is always looked at next; a node of all stages is a space, and is scored. As
soon as no bound exceeds the best score, no other space is better.

The nodes that are open are kept by families, those that differ in their last gene: only the best of
a family is in the queue, and the others are numbers of a few bytes."""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.identity import digest, space_identity
from spacedsl.search.best.completions import TimeUp, grid_steps
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer, combined
from spacedsl.search.exact.executors import Executor, serial
from spacedsl.search.exact.found import RIVALS, Optimum, Progress, Ranked, named
from spacedsl.search.exact.task_log import TaskLog
from spacedsl.search.protocols import Floats
from spacedsl.search.scorer import Scorer
from spacedsl.search.stream import Stream

PRECISION = 1e-9
"""Of the best score: what is not better by more counts as not better. Rounding is far below."""

DIVES = 64
"""After so many nodes the greatest bounds are followed to a space again."""

AT_ONCE = 32
"""Spaces that are scored together."""

BELOW, OVER = "bound not above the best score", "over the limit"


def best_optimum(
    scorer: Scorer | CombinedScorer,
    executor: Executor = serial,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    name: str = "optimum",
    top: int = 1,
    seconds: float = math.inf,
) -> Optimum:
    """The best `top` spaces of the scorer's hyperspace. With a `journal`, every finished piece of
    work is written there; `resume` goes on from it. After about `seconds` the search stops and says
    how large the gap still is. Raises `SpaceError`."""
    parts = scorer.parts if isinstance(scorer, CombinedScorer) else {"": scorer}
    targets = [part for part in parts.values() if isinstance(part, BestScorer)]
    if len(targets) < len(parts):
        raise ValueError("an optimum by best needs scorers by best")
    end = time.monotonic() + seconds
    scorer.require(scorer.hyper)
    identity = {**scorer.identity, "precision": PRECISION, "top": top}
    combine = scorer.combine if isinstance(scorer, CombinedScorer) else Combine.sum
    with TaskLog(journal, identity, resume, "optimum by best") if journal else nullcontext() as log:
        for target in targets:
            grid_steps(target.engine.prefixes.line)  # what is too large is said before the work
        search = _Search(targets, combine, top, log)
        search.begin()
        with suppress(TimeUp):
            for target in targets:
                target.engine.prefixes.prepare(executor, end)
            search.run(end, progress)
        return search.certified(scorer, name)


@dataclass(frozen=True, slots=True)
class _Family:
    """Nodes that begin with `genes`, by falling bounds: what they bound (N,), and the numbers of
    their last genes (N,)."""

    genes: Genotype
    bounds: Floats
    last: NDArray[np.int16]


@dataclass
class _Search:
    """What is known so far. In the `heap`, of every family the best that is open: its bound,
    negated, its genes, the family, and its place there. `best`: the scores of the best spaces, the
    least first. `over`, `below`: spaces that were left out, by the rule. `nodes` were branched and
    `waiting` are open. `known`: bounds that were asked for before their turn. `ahead`: by the genes
    that spaces begin with, how many of them were scored before their turn. `first`: a random one,
    which is no rival of the best."""

    targets: Sequence[BestScorer]
    combine: Combine
    top: int
    log: TaskLog | None
    heap: list[tuple[float, Genotype, _Family, int]] = field(default_factory=list)
    scores: dict[Genotype, float] = field(default_factory=dict)
    best: list[float] = field(default_factory=list)
    over: int = 0
    below: int = 0
    nodes: int = 0
    waiting: int = 0
    finished: bool = False
    known: dict[Genotype, list[float]] = field(default_factory=dict)
    ahead: Counter[Genotype] = field(default_factory=Counter)
    first: Genotype | None = None

    def __post_init__(self) -> None:
        self.line = self.targets[0].engine.line
        self.genome = self.line.genome
        self.genes = [self.line.genes(stage) for stage in range(self.line.stages)]
        most = combined([_most(target) for target in self.targets], self.combine)
        self.heap = [(-most, (), _Family((), np.array([most]), np.array([0])), 0)]
        self.waiting = 1

    @property
    def least(self) -> float:
        """A space must score more to be among the best."""
        if len(self.best) < self.top:
            return -math.inf
        return self.best[0] + PRECISION * abs(self.best[0])

    @property
    def bound(self) -> float:
        """No space that is still open scores more."""
        return -self.heap[0][0] if self.heap else -math.inf

    def begin(self) -> None:
        """Score a space, so that there is an answer whenever time is up."""
        try:
            genes = self.genome.drawn(Stream(0), ())
        except SpaceError:  # where few keep the hyperspace's limit, none may be found
            return
        self.first = genes
        self._take_ahead(genes)

    def run(self, end: float, progress: Callable[[Progress], None] | None) -> None:
        """Until the best are known, or time is up."""
        dive_at = 0
        while self.heap and self.bound > self.least:
            if time.monotonic() > end:
                return
            if self.nodes == dive_at:
                dive_at += DIVES
                self._dive(end)
                continue
            genes = self._next()
            if len(genes) < self.line.stages:
                self._branch(genes)
            else:
                self._score(genes)
            if progress is not None:
                most = max(self.best, default=0.0)
                decided = len(self.scores) + self.over + self.below
                of, bound = self.nodes + self.waiting, max(self.bound, most)
                progress(Progress("nodes", self.nodes, of, decided, most, bound))
        self.finished = True

    def _next(self) -> Genotype:
        """Take the node with the greatest bound out of the queue."""
        _, genes, family, place = heapq.heappop(self.heap)
        self.waiting -= 1
        self._queue(family, place + 1)
        return genes

    def _queue(self, family: _Family, place: int) -> None:
        """Those of a family from a place on are open."""
        if place < len(family.last):
            genes = (*family.genes, self.genes[len(family.genes)][family.last[place]])
            heapq.heappush(self.heap, (-float(family.bounds[place]), genes, family, place))

    def _dive(self, end: float) -> None:
        """Score the space that the greatest bound, and from there that of each stage in turn, leads
        to, if it keeps the hyperspace's limit: the better the best score, the more is left out."""
        genes = self.heap[0][1]
        if len(genes) == self.line.stages:
            return  # it is its turn
        while len(genes) < self.line.stages:
            if genes not in self.known:
                self.known[genes] = self._bounds(genes)
            bounds = zip(self._children(genes), self.known[genes], strict=True)
            kept = [(bound, child) for child, bound in bounds if not self._exceeds(child)]
            if not kept or time.monotonic() > end:
                return
            genes = max(kept, key=lambda found: found[0])[1]
        if genes not in self.scores:
            self._take_ahead(genes)

    def _take_ahead(self, genes: Genotype) -> None:
        self._take([genes])
        self.ahead.update(genes[:stages] for stages in range(len(genes) + 1))

    def _children(self, genes: Genotype) -> list[Genotype]:
        return [(*genes, gene) for gene in self.genes[len(genes)]]

    def _branch(self, genes: Genotype) -> None:
        """Bound the spaces that begin with `genes`, by the next gene."""
        self.nodes += 1
        bounds = self.known.pop(genes, None) or self._bounds(genes)
        some = []
        for i, (child, bound) in enumerate(zip(self._children(genes), bounds, strict=True)):
            if self._exceeds(child):
                self.over += self._left(child)
            elif bound <= self.least:
                self.below += self._left(child)
            elif child not in self.scores:
                some.append(i)
        values = np.array([bounds[i] for i in some])
        order = np.argsort(-values, kind="stable")
        self.waiting += len(some)
        self._queue(_Family(genes, values[order], np.array(some, dtype=np.int16)[order]), 0)

    def _exceeds(self, genes: Genotype) -> bool:
        """Whether it is known that all spaces that begin so exceed the hyperspace's limit."""
        within = self.genome.within
        if within is None:
            return False
        whole = len(genes) == self.line.stages
        return not within.keeps(genes) if whole else within.exceeds(genes)

    def _bounds(self, genes: Genotype) -> list[float]:
        """Of the spaces that begin with `genes`, by the next gene."""
        count = len(self.genes[len(genes)])
        return self._logged(f"bounds {_spelled(genes)}", lambda: self._bounded(genes), count)

    def _bounded(self, genes: Genotype) -> list[float]:
        each = []
        for target in self.targets:
            values = target.engine.bounds(genes)
            weights = np.array(target.settings.weights)
            each.append((np.where(np.isfinite(values), values, 0.0) * weights).sum(axis=1).tolist())
        return [combined(scores, self.combine) for scores in zip(*each, strict=True)]

    def _score(self, genotype: Genotype) -> None:
        """Score a space, and with it those whose turn would be next."""
        lot = [genotype]
        while len(lot) < AT_ONCE and self.heap and self.bound > self.least:
            if len(self.heap[0][1]) < self.line.stages:
                break
            lot.append(self._next())
        self._take(lot)

    def _take(self, lot: list[Genotype]) -> None:
        key = f"scores {_spelled(lot[0])}"
        scores = self._logged(key, lambda: self._scores(lot), len(lot))
        for genes, score in zip(lot, scores, strict=True):
            self.scores[genes] = score
            heapq.heappush(self.best, score)
            if len(self.best) > self.top:
                heapq.heappop(self.best)

    def _scores(self, genotypes: list[Genotype]) -> list[float]:
        each = [
            [target.total(limits) for limits in target.limits(self.genome, genotypes)]
            for target in self.targets
        ]
        return [combined(scores, self.combine) for scores in zip(*each, strict=True)]

    def _logged(self, key: str, work: Callable[[], list[float]], count: int) -> list[float]:
        """What the journal holds of a piece of work, or what it comes to."""
        if self.log is not None and key in self.log.held:
            return self._numbers(key, self.log.held[key], count)
        found = work()
        if self.log is not None:
            self.log.append(key, found)
        return found

    def _numbers(self, key: str, value: Any, count: int) -> list[float]:
        if not isinstance(value, list) or len(value) != count:
            raise self._malformed(key, f"not {count} numbers")
        if not all(type(x) is float and math.isfinite(x) for x in value):
            raise self._malformed(key, "not all of it is numbers")
        return list(value)

    def _malformed(self, key: str, why: str) -> Exception:
        return AssertionError(why) if self.log is None else self.log.malformed(key, why)

    def _left(self, genes: Genotype) -> int:
        """Spaces that begin with `genes`, but for those that were scored before their turn."""
        size = prod(blocks * windows for blocks, windows in self.genome.shape[len(genes) :])
        return size - self.ahead[genes]

    def _open_in(self, family: _Family, place: int) -> int:
        """Spaces that begin with those of a family from a place on, but for those that were
        scored."""
        last, rest = self.genes[len(family.genes)], self.genome.shape[len(family.genes) + 1 :]
        found = (len(family.last) - place) * prod(blocks * windows for blocks, windows in rest)
        if self.ahead[family.genes]:
            found -= sum(self.ahead[*family.genes, last[i]] for i in family.last[place:].tolist())
        return found

    def certified(self, scorer: Scorer | CombinedScorer, name: str) -> Optimum:
        """The best spaces, scored once more, and how every space was decided."""
        if not self.scores:
            raise self._nothing()
        order = sorted(self.scores, key=lambda g: (-self.scores[g], g))
        rivals = [g for g in order[self.top :] if g != self.first][:RIVALS]
        ranked = [self._ranked(g, scorer, name) for g in [*order[: self.top], *rivals]]
        ranked.sort(key=lambda r: (-r.result.score, space_identity(r.space)))
        best = ranked[0].result.score
        left = self._left(())
        if self.nodes:
            left = sum(self._open_in(family, place) for _, _, family, place in self.heap)
        below, open_ = (self.below + left, 0) if self.finished else (self.below, left)
        pruned = {BELOW: below} if self.genome.within is None else {OVER: self.over, BELOW: below}
        if len(self.scores) + sum(pruned.values()) + open_ != self.genome.size:
            raise AssertionError("every space is decided once")
        return Optimum(
            best=tuple(named(r, name, i) for i, r in enumerate(ranked[: self.top])),
            rivals=tuple(ranked[self.top :]),
            bound=best + PRECISION * abs(best) if self.finished else max(best, self.bound),
            precision=PRECISION,
            deviation=0.0,
            enumerated=len(self.scores),
            pruned=pruned,
            open=open_,
            size=self.genome.size,
            rescored=len(ranked),
            complete=self.finished,
            evolution=None,
            cycles=0,
            tables=digest(scorer.identity),
        )

    def _ranked(self, genotype: Genotype, scorer: Scorer | CombinedScorer, name: str) -> Ranked:
        space = self.genome.to_space(genotype, name)
        result, score = scorer.score(space), self.scores[genotype]
        if result.score != score:
            why = f"its space scores {result.score!r}, not {score!r}"
            raise self._malformed(f"scores {_spelled(genotype)}", why)
        return Ranked(space, result, score)

    def _nothing(self) -> Exception:
        if self.finished:
            return self.genome.unkept()
        message = "time was up before a space was found that keeps the hyperspace's limit"
        return fault("bad-option", message, "give the search more --minutes")


def _most(target: BestScorer) -> float:
    """No space scores more: what one would whose best network keeps every limit."""
    return max(target.engine.most(), 0.0) * sum(target.settings.weights)


def _spelled(genes: Genotype) -> str:
    return " ".join(f"{block}.{window}" for block, window in genes)
