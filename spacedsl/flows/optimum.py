"""The best space of a whole hyperspace, with a certificate."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacedsl.diagnostics import fault
from spacedsl.flows.evolve import tell_needs
from spacedsl.flows.open_scorers import by_target, joined, open_all
from spacedsl.flows.refits import refitted_search, require_refits
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.search.best.networks import BestScore
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.refits import Refit
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScore
from spacedsl.search.exact.executors import Executor, serial
from spacedsl.search.exact.found import Optimum, Progress
from spacedsl.search.exact.optimum import optimum as optimum_by_qt
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.scorer import Scorer
from spacedsl.targets.device import Device
from spacedsl.targets.open_scorer import Request


@dataclass(frozen=True, slots=True, repr=False)
class Certified:
    """The best space and why no other is better. `optimum`: the best ones and the certificate;
    `refits`: the search repeated by refits of the quality table; `comments`: how the space was
    found, for its page."""

    optimum: Optimum
    targets: tuple[Target, ...]
    refits: tuple[Refit, ...]
    comments: tuple[str, ...]

    @property
    def space(self) -> Space:
        """The best space."""
        return self.optimum.space

    @property
    def score(self) -> float:
        """Its score."""
        return self.optimum.result.score

    @property
    def by_target(self) -> dict[str, BestScore]:
        """Its score and best networks on each target, a single one without a name; empty for
        another definition than `best`."""
        return by_target(self.optimum.result)

    def __repr__(self) -> str:
        state = "complete" if self.optimum.complete else "not complete"
        return f"<optimum {self.space.name}: score {self.score:.4f}, {state}>"


def optimum(
    hyper: Space,
    devices: Sequence[Device],
    request: Request,
    *,
    combine: Combine = Combine.sum,
    executor: Executor = serial,
    journal: Path | None = None,
    resume: bool = False,
    top: int = 1,
    seconds: float = math.inf,
    refits: int = 0,
    name: str = "optimum",
    watch: Watch = SILENT,
) -> Certified:
    """The `top` best spaces of a hyperspace on devices: by their best networks, or by exact Q-T
    scores. After about `seconds` the search stops and says how large the gap still is. Raises
    `SpaceError`."""
    if request.definition == "authors":
        message = "an optimum is of the definition best or qt"
        raise fault("bad-option", message, "leave --definition out, or say --definition qt")
    by_best = request.definition == "best"
    if not by_best:
        tell_needs(hyper, watch, paired=True)
    scorers = open_all(hyper, devices, request, watch)
    again = require_refits(refits, scorers.tables, by_best=by_best)
    each: Mapping[str, Scorer] = scorers.each
    if not by_best:
        each = {n: ExactScorer(table, searching=True) for n, table in scorers.tables.items()}
    scorer = joined(each, combine)
    began = time.monotonic()
    with watch.working("preparing the stages") as tell:

        def show(reached: Progress) -> None:
            tell(
                f"{reached.phase} {reached.done}/{reached.of}: {reached.decided:,} spaces decided, "
                f"best {reached.best:.5g}, bound {reached.bound:.5g}"
            )

        options = (executor, journal, resume, show, name, top, seconds)
        found = best_optimum(scorer, *options) if by_best else optimum_by_qt(scorer, *options)
    took = time.monotonic() - began
    refitted = refitted_search(
        scorer,
        found.space,
        again,
        lambda other: best_optimum(other, executor, seconds=seconds).space,
        took,
        watch,
    )
    targets = tuple(device.target for device in devices)
    return Certified(found, targets, refitted, tuple(_comments(found, each)))


def unit_said(scores: Mapping[str, BestScore]) -> str:
    """What a score by the best networks is in."""
    first = next(iter(scores.values()))
    return f"{first.unit} of the best {first.best} of all networks, summed over the limits"


def parts_said(result: object) -> list[str]:
    """On several targets the score on each, in a line."""
    if not isinstance(result, CombinedScore):
        return []
    listed = ", ".join(f"{name} {part.score:.6f}" for name, part in result.parts)
    return [f"{result.combine.value} of {len(result.parts)} targets: {listed}"]


def _comments(found: Optimum, scorers: Mapping[str, Scorer]) -> list[str]:
    how = "with a proof" if found.complete else f"known to {found.bound - found.result.score:.1e}"
    lines = [f"Best of {found.size:,} spaces for {' and '.join(scorers)}, {how}."]
    lines += [line.capitalize() + "." for line in parts_said(found.result)]
    kind, scores = next(iter(scorers.values())).name, by_target(found.result)
    if scores:
        lines.append(f"Score {found.result.score:.6f}: {unit_said(scores)}.")
    else:
        lines.append(f"Exact Q-T score {found.result.score:.6f}, scorer {kind}.")
    for name, part in scorers.items():
        limits = ", ".join(f"{limit:g}" for limit in part.limits_ms)
        hashes = (f"{k} {str(part.identity[k])[:16]}" for k in ("hyperspace", "latency", "quality"))
        lines += [f"{name}: limits {limits} ms", "  ".join(hashes)]
    return lines
