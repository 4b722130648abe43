"""Search a hyperspace by aging evolution, and say what the found space is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacedsl import api
from spacedsl.figures import counted
from spacedsl.flows.open_scorers import Tables, by_target, joined, open_all
from spacedsl.flows.refits import refitted_search, require_refits
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.covers import mismatch
from spacedsl.ir.for_data import like
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.passes.extremes import cost_range
from spacedsl.search.best.calls import Call, calls
from spacedsl.search.best.networks import BestScore
from spacedsl.search.best.refits import Refit
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer, pareto
from spacedsl.search.compare import Comparison, StageSensitivity, compare, sensitivity
from spacedsl.search.evolve import CYCLES, POPULATION, SAMPLE, Found, Progress
from spacedsl.search.evolve import evolve as search
from spacedsl.search.exact.expectation import ExactScore
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.exact.searching import search_scorer
from spacedsl.search.exact.size import needs, require_room
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.scorer import Scorer
from spacedsl.targets.device import Device
from spacedsl.targets.open_scorer import Request

LONG = 20.0
"""Seconds of processor time that need no word."""


@dataclass(frozen=True, slots=True)
class OnFront:
    """A space that no other scored one beats on every target: its place in the search's history,
    and its score by target."""

    index: int
    hash: str
    genotype: Genotype
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True, repr=False)
class Evolved:
    """What a search ended with. `found`: the space and everything that was scored; `comparison`:
    it against the published space and random ones; `calls`: how sure each stage's block type is
    (definition `best`); `doubts`: whether it stays the best where transferred losses are off;
    `front`: on several targets; `finer`: exact scores at full detail, by target; `refits`: the
    search repeated by refits of the quality table; `comments`: how the space was found, for its
    page."""

    found: Found
    targets: tuple[Target, ...]
    scorer: Scorer | CombinedScorer
    comparison: Comparison
    calls: tuple[Call, ...]
    doubts: tuple[StageSensitivity, ...]
    front: tuple[OnFront, ...]
    finer: Mapping[str, ExactScore]
    refits: tuple[Refit, ...]
    comments: tuple[str, ...]

    @property
    def space(self) -> Space:
        """The found space."""
        return self.found.space

    @property
    def score(self) -> float:
        """Its score."""
        return self.found.score

    @property
    def by_target(self) -> dict[str, BestScore]:
        """Its score and best networks on each target, a single one without a name; empty for
        another definition than `best`."""
        return by_target(self.comparison.found.result)

    def __repr__(self) -> str:
        count = len(self.found.history)
        spaces = counted(count, "space")
        return f"<evolved {self.space.name}: score {self.score:.4f}, the best of {spaces}>"


def evolve(
    hyper: Space,
    devices: Sequence[Device],
    request: Request,
    *,
    combine: Combine = Combine.sum,
    exact: bool = False,
    population: int = POPULATION,
    sample: int = SAMPLE,
    cycles: int = CYCLES,
    seed: int = 0,
    journal: Path | None = None,
    resume: bool = False,
    refits: int = 0,
    name: str = "found",
    on_found: Callable[[Space, Sequence[str]], None] = lambda space, comments: None,
    watch: Watch = SILENT,
) -> Evolved:
    """Search a hyperspace on devices (the method's Sec. 4.2). `exact`: by expectations of the Q-T
    score; `refits`: repeat the search by so many refits of the quality table; `on_found` is told
    the space and its comments as soon as it is found, before anything else is done with it. Raises
    `SpaceError`."""
    references = (_reference(device.target, hyper) for device in devices)
    reference = next(filter(None, references), None)
    if exact:
        tell_needs(hyper, watch, paired=False)
    scorers = open_all(hyper, devices, request, watch)
    again = require_refits(refits, scorers.tables, by_best=scorers.by_best)
    each = scorers.each
    if exact:
        each = {n: search_scorer(table) for n, table in scorers.tables.items()}
    scorer = joined(each, combine)
    what = "score" if scorers.by_best else "Q-T score"
    began = time.monotonic()
    with watch.counting("searching", cycles, "spaces") as show:

        def progress(reached: Progress) -> None:
            show(reached.done, f"best {what} {reached.best.score:.6f}")

        found = search(
            hyper, scorer, population, sample, cycles, seed, journal, resume, progress, name
        )
    took = time.monotonic() - began
    targets = tuple(device.target for device in devices)
    comments = _comments(found, scorer, targets, population, sample, seed)
    on_found(found.space, comments)
    with watch.working("comparing with other spaces") as tell:
        comparison = compare(scorer, found.space, reference, seed=seed)
        tell("trying other block types in every stage")
        doubts = _doubts(scorer, scorers.tables, found.space)
        sure = calls(scorer, found.space, doubts) if scorers.by_best else ()
    refitted = refitted_search(
        scorer,
        found.space,
        again,
        lambda other: search(hyper, other, population, sample, cycles, seed).space,
        took,
        watch,
    )
    return Evolved(
        found=found,
        targets=targets,
        scorer=scorer,
        comparison=comparison,
        calls=sure,
        doubts=doubts,
        front=_front(found, scorer),
        finer=_finer(scorers.tables, found.space) if exact else {},
        refits=refitted,
        comments=tuple(comments),
    )


def tell_needs(hyper: Space, watch: Watch, *, paired: bool) -> None:
    """Say beforehand what an exact Q-T search takes, where it takes long. Raises `SpaceError` where
    a search, or with `paired` an optimum, would take too much memory."""
    require_room(hyper, paired=paired)
    found = needs(hyper)
    if found.seconds > LONG:
        watch.say(f"preparing all stages takes {found}")


def _doubts(
    scorer: Scorer | CombinedScorer, tables: Tables, space: Space
) -> tuple[StageSensitivity, ...]:
    first = next(iter(tables.values()))
    return sensitivity(scorer, first.quality, space) if isinstance(first, ModelScorer) else ()


def _front(found: Found, scorer: Scorer | CombinedScorer) -> tuple[OnFront, ...]:
    """Of the spaces that a search scored, those that no other beats on every target."""
    if not isinstance(scorer, CombinedScorer):
        return ()
    front = pareto((scorer.by_target(record.limits), record) for record in found.history)
    return tuple(
        OnFront(r.index, r.hash, r.genotype, dict(zip(scorer.parts, scores, strict=True)))
        for scores, r in front
    )


def _finer(tables: Tables, space: Space) -> dict[str, ExactScore]:
    """The score on each target at full detail."""
    return {name: ExactScorer(table).score(space) for name, table in tables.items()}


def _reference(target: Target, hyper: Space) -> Space | None:
    """The target's published space, where it is one of the hyperspace searched and keeps its
    limit; with the hyperspace's classes, so that all latencies are of the same task."""
    if target.reference is None:
        return None
    reference = api.load_space(target.reference)
    if mismatch(hyper, reference) is not None or not _keeps(hyper, reference):
        return None
    return like(reference, hyper)


def _keeps(hyper: Space, space: Space) -> bool:
    """Whether every network of a space keeps a hyperspace's limit."""
    if hyper.limit is None:
        return True
    limit, costs = hyper.limit, cost_range(space)
    most = (limit.flops, limit.params, limit.memory)
    greatest = (costs.flops.greatest, costs.params.greatest, costs.memory.greatest)
    return all(m is None or g <= m for m, g in zip(most, greatest, strict=True))


def _comments(
    found: Found,
    scorer: Scorer | CombinedScorer,
    targets: Sequence[Target],
    population: int,
    sample: int,
    seed: int,
) -> list[str]:
    """How the space was found: what is needed to find it again, and no time or path."""
    parts = [scorer] if isinstance(scorer, Scorer) else list(scorer.parts.values())
    chosen = parts[0].settings
    by_best = chosen.definition == "best"
    total = f"{'Score' if by_best else 'Q-T score'} {found.score:.6f}"
    lines = [
        f"{counted(len(found.history), 'space')} scored; population {population}, sample {sample}, "
        f"seed {seed}."
    ]
    if not isinstance(scorer, Scorer):
        lines.append(f"{total}: {scorer.combine.value} of {len(parts)} targets' scores.")
    for target, part in zip(targets, parts, strict=True):
        limits = _listed(part.limits_ms)
        where = total if len(parts) == 1 else target.name
        lines.append(
            f"{where} over limits {limits} ms: scorer {part.name}, definition {chosen.definition},"
        )
    if by_best:
        unit = parts[0].unit if isinstance(parts[0], BestScorer) else ""
        weights = "" if set(chosen.weights) == {1.0} else f", weights {_listed(chosen.weights)}"
        lines.append(f"{unit} of the best {chosen.best} of all networks per limit{weights}.")
    else:
        drawn = f"{chosen.samples:,} subnets per space{_expected(parts[0].identity)}"
        lines.append(f"{drawn}, best {chosen.best}.")
    lines += [
        f"hyperspace {str(part.identity['hyperspace'])[:16]}  "
        f"latency {str(part.identity['latency'])[:16]}  "
        f"quality {str(part.identity['quality'])[:16]}"
        for part in parts
    ]
    first, *others = targets
    where = f"Found by aging evolution in {scorer.hyper.name} for "
    more = [f"and {target.name}: {target.device}." for target in others]
    return [f"{where}{first.name}: {first.device}.", *more, *lines]


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _expected(identity: dict[str, object]) -> str:
    return " (their expectation, not a sample)" if "exact" in identity else ""
