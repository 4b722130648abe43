"""Aging evolution over spaces (the method's Sec. 4.2).

Candidates follow from the hyperspace, the seed and the scores alone; how many are asked for only
says where to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, Genotype, mutate
from spacedsl.search.journal import Evaluated, Journal
from spacedsl.search.space_score import LimitScore
from spacedsl.search.stream import Stream

POPULATION, SAMPLE, CYCLES = 500, 125, 5_000

RETRIES = 64
"""Mutations in a row before a space that is new is drawn at random instead."""

AT_ONCE = 64
"""Spaces of the first population that are proposed together."""

BLOCK, WINDOW = 0, 1
"""What a step's two children mutate."""


class SpaceScorer(Protocol):
    """What a search needs of a scorer."""

    @property
    def identity(self) -> dict[str, object]:
        """Everything a score depends on, apart from the space; plain JSON."""

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """Latency limits in milliseconds."""

    def require(self, space: Space) -> None:
        """Raises `SpaceError` where a space of the hyperspace could not be scored."""

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The scores of spaces under each limit, whole numbers missing."""

    def total(self, limits: Sequence[LimitScore]) -> float:
        """A space's score from those under each limit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is. `replayed`: of the `done`, those whose score the journal held."""

    done: int
    cycles: int
    replayed: int
    best: Evaluated


@dataclass(frozen=True, slots=True)
class Found:
    """A search's result: the best space (of equals the first), its record, all records in order,
    how many of them came from the journal, and whether no space was left unscored."""

    space: Space
    best: Evaluated
    history: tuple[Evaluated, ...]
    replayed: int
    exhausted: bool

    @property
    def score(self) -> float:
        """The Q-T score of the found space."""
        return self.best.score


@dataclass
class Evolution:
    """The state of an aging evolution: who lives (oldest first), who was ever proposed, and whether
    no other space was found."""

    genome: Genome
    population: int
    sample: int
    stream: Stream
    living: deque[Evaluated] = field(default_factory=deque)
    seen: set[Genotype] = field(default_factory=set)
    spent: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether every space has been proposed."""
        return self.spent or len(self.seen) >= self.genome.kept

    def propose(self) -> tuple[Genotype, ...]:
        """The next spaces to score: some of the first population, or two children; fewer where no
        new space is left, or found that keeps the hyperspace's limit. Raises `SpaceError` where
        there is none at all."""
        first = min(self.population, self.genome.kept) - len(self.seen)
        if first > 0:
            draws: list[Callable[[], Genotype]] = [self._unseen] * min(first, AT_ONCE)
        else:
            parent = self._parent()
            draws = [partial(self._child, parent, what) for what in (BLOCK, WINDOW)]
        proposed: list[Genotype] = []
        for draw in draws:
            if self.exhausted:
                break
            try:
                genotype = draw()
            except SpaceError:
                if not self.seen:
                    raise
                self.spent = True
                break
            self.seen.add(genotype)
            proposed.append(genotype)
        return tuple(proposed)

    def tell(self, scored: tuple[Evaluated, ...]) -> None:
        """Take in the scores of what was proposed; beyond the population the oldest go."""
        self.living.extend(scored)
        while len(self.living) > self.population:
            self.living.popleft()

    def _parent(self) -> Genotype:
        size = min(self.sample, len(self.living))
        rivals = [self.living[i] for i in self.stream.sample(len(self.living), size)]
        return max(rivals, key=lambda r: (r.score, -r.index)).genotype

    def _child(self, parent: Genotype, what: int) -> Genotype:
        """`parent` mutated, and mutated again as long as the child was proposed before."""
        child = parent
        for _ in range(RETRIES):
            mutated = mutate(self.genome, child, what, self.stream)
            mutated = mutated or mutate(self.genome, child, 1 - what, self.stream)
            child = mutated or child
            if child not in self.seen and self.genome.keeps(child):
                return child
        return self._unseen()

    def _unseen(self) -> Genotype:
        """A uniformly random space that was never proposed."""
        return self.genome.drawn(self.stream, self.seen)


def evolve(
    hyper: Space,
    scorer: SpaceScorer,
    population: int = POPULATION,
    sample: int = SAMPLE,
    cycles: int = CYCLES,
    seed: int = 0,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    name: str = "found",
) -> Found:
    """Search `hyper` for the space with the best score. `population` spaces live, of which the
    best of `sample` random ones is the parent of a step's two children; `cycles` spaces are scored
    in all, the first population included, or all spaces where there are fewer. With a `journal`,
    every score is written there; `resume` goes on from it. Raises `SpaceError`."""
    options = {"population": population, "sample": sample, "cycles": cycles}
    for option, value in options.items():
        if value < 1:
            raise fault("bad-option", f"{option} {value} is not at least 1")
    if seed < 0:
        raise fault("bad-option", f"seed {seed} is negative")
    if resume and journal is None:
        raise fault("no-journal", "there is no journal to resume from", "say --journal FILE")
    genome = Genome(hyper)
    evolution = Evolution(genome, population, sample, Stream(seed))
    scorer.require(hyper)
    header = {
        **scorer.identity,
        "hyperspace": space_identity(hyper),
        "seed": seed,
        "population": population,
        "sample": sample,
    }
    opened = Journal(journal, header, scorer, resume) if journal else nullcontext()
    with opened as log:
        held = log.records[:cycles] if log else ()
        history: list[Evaluated] = []
        best: Evaluated | None = None
        for record in _run(evolution, scorer, log, held, cycles):
            history.append(record)
            best = record if best is None or record.score > best.score else best
            if progress is not None:
                replayed = min(len(held), len(history))
                progress(Progress(len(history), cycles, replayed, best))
    if best is None:
        raise genome.unkept()
    return Found(
        space=genome.to_space(best.genotype, name),
        best=best,
        history=tuple(history),
        replayed=len(held),
        exhausted=evolution.spent or len(history) == genome.kept,
    )


def _run(
    evolution: Evolution,
    scorer: SpaceScorer,
    log: Journal | None,
    held: tuple[Evaluated, ...],
    cycles: int,
) -> Iterator[Evaluated]:
    """Scored spaces in order, those that `held` has from there."""
    done, genome = 0, evolution.genome
    while done < cycles and not evolution.exhausted:
        proposed = evolution.propose()[: cycles - done]
        known = [
            _replayed(record, genotype, genome, log)
            for record, genotype in zip(held[done:], proposed, strict=False)
        ]
        yield from known
        new = proposed[len(known) :]
        scored = list(known)
        for genotype, limits in zip(new, scorer.limits(genome, new), strict=True):
            index, score = done + len(scored), scorer.total(limits)
            record = Evaluated(index, genotype, genome.identity(genotype), score, limits)
            if log is not None:
                log.append(record)
            scored.append(record)
            yield record
        done += len(scored)
        evolution.tell(tuple(scored))


def _replayed(
    record: Evaluated, genotype: Genotype, genome: Genome, log: Journal | None
) -> Evaluated:
    identity = genome.identity(genotype)
    if record.genotype == genotype and record.hash == identity:
        return record
    where = f"{log.path}:{record.index + 2}" if log else "the journal"
    message = f"{where}: holds space {record.hash[:12]}, the search comes to {identity[:12]}"
    raise fault("journal-differs", message, "the journal was edited; remove it and search anew")
