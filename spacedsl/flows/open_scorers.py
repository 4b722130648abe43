"""The scorers of a hyperspace's spaces, opened once for all that a flow does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.space import Space
from spacedsl.search.best.networks import BestScore
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScore, CombinedScorer
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.scorer import Scorer
from spacedsl.search.space_score import SpaceScore
from spacedsl.tables.quality import FittedQuality
from spacedsl.targets.device import Device
from spacedsl.targets.open_scorer import Request, open_scorers

S = TypeVar("S", bound=Scorer)

Tables = Mapping[str, ModelScorer | RowsScorer]
"""Latencies and losses, by target."""


@dataclass(frozen=True, slots=True)
class Scorers:
    """`tables`: latencies, losses and settings; `each`: what scores spaces by them, by target."""

    devices: tuple[Device, ...]
    tables: Tables
    each: Mapping[str, Scorer]
    by_best: bool


def open_all(
    space: Space, devices: Sequence[Device], request: Request, watch: Watch = SILENT
) -> Scorers:
    """The scorers of the definition that is asked for; says what an accuracy is of a space without
    a classifier. Raises `SpaceError`."""
    if space.taps:
        watch.say(
            f"`{space.name}` has taps in place of a head: what is predicted is of a classifier "
            "with these stages, and says which networks are better, not how good a detector will be"
        )
    tables = open_scorers(space, devices, request)
    by_best = request.definition == "best"
    if by_best:
        _tell_stages(space, tables, watch)
    each = {n: BestScorer(t) if by_best else t for n, t in tables.items()}
    return Scorers(tuple(devices), tables, each, by_best)


def _tell_stages(space: Space, tables: Tables, watch: Watch) -> None:
    """Warn where a space has other stages than the networks that its quality table knows."""
    first = next(iter(tables.values()))
    if not isinstance(first, ModelScorer):
        return
    known = first.quality.valuation.known
    if known is not None and known.stages != len(space.elastic):
        count = len(space.elastic)
        watch.warn(
            f"`{space.name}` has {count} elastic {'stage' if count == 1 else 'stages'}, and its "
            f"quality table knows accuracies of {known}: the percentages say which of these "
            "networks are better, and not how good they will be"
        )
    strides = first.quality.strides if isinstance(first.quality, FittedQuality) else {}
    for number, at in enumerate(space.elastic, 1):
        stage = space.stages[at]
        if stage.stride not in strides.get(number, (stage.stride,)):
            watch.warn(
                f"`{stage.name}` of `{space.name}` has stride {stage.stride}, and the losses of "
                f"its quality table are of stride {strides[number][0]}, so of maps of another size"
            )


def joined(scorers: Mapping[str, S], combine: Combine) -> S | CombinedScorer:
    """The one scorer, or that of all targets together."""
    if len(scorers) == 1:
        return next(iter(scorers.values()))
    return CombinedScorer(scorers, combine)


def by_target(result: SpaceScore | CombinedScore) -> dict[str, BestScore]:
    """The score on each target; a single one has no name. Empty for another definition."""
    parts = result.parts if isinstance(result, CombinedScore) else (("", result),)
    return {name: part for name, part in parts if isinstance(part, BestScore)}
