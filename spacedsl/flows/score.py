"""What a space is worth under latency limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import fault
from spacedsl.flows.open_scorers import open_all
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.search.best.networks import BestScore, Network
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.combine import Combine
from spacedsl.search.combined import combined
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.protocols import Unit
from spacedsl.search.scorer import Scorer
from spacedsl.search.space_score import Definition, SpaceScore
from spacedsl.targets.device import Device
from spacedsl.targets.open_scorer import Request


@dataclass(frozen=True, slots=True)
class TargetScore:
    """A space's score on a target: a `BestScore`, `ExactScore` or sampled `SpaceScore`. `top`: per
    latency limit the best networks that were asked for, whose worth is in `unit`."""

    target: Target
    result: SpaceScore
    top: tuple[tuple[Network, ...], ...]
    unit: Unit

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """Latency limits in milliseconds."""
        return tuple(limit.limit_ms for limit in self.result.limits)

    @property
    def networks(self) -> tuple[tuple[Network, ...], ...]:
        """For each latency limit its best networks, the best first. Empty where the definition is
        not `best`."""
        return self.result.networks if isinstance(self.result, BestScore) else ()


@dataclass(frozen=True, slots=True, repr=False)
class Scored:
    """A space's scores, one per target, and how these make one."""

    space: Space
    parts: tuple[TargetScore, ...]
    combine: Combine

    @property
    def score(self) -> float:
        """The score on the one target, or of all together."""
        return combined([part.result.score for part in self.parts], self.combine)

    def __repr__(self) -> str:
        return f"<scored {self.space.name}: {self.score:.4f}>"


def require_scorable(
    space: Space, definition: Definition, *, exact: bool, top: int, called: str = ""
) -> None:
    """Raises `SpaceError` for a hyperspace of several spaces, and where networks are to be listed
    that the definition does not find; `called`: how the space was named."""
    if top and definition != "best" and not exact:
        help = "leave --definition out, or say --definition qt --exact"
        raise fault("bad-option", "a sampled score knows no best networks to list", help)
    if space.kind == "hyperspace" and any(len(s.choices) > 1 for s in space.stages):
        help = "`spacedsl evolve` searches a hyperspace"
        message = f"{called or space.name} is a hyperspace; a score is of one space"
        raise fault("wrong-kind", message, help)


def score(
    space: Space,
    devices: Sequence[Device],
    request: Request,
    *,
    combine: Combine = Combine.sum,
    exact: bool = False,
    top: int = 0,
    watch: Watch = SILENT,
) -> Scored:
    """Score a space on devices. `exact`: the expectation of the Q-T score, nothing sampled; `top`:
    how many of the best networks under each limit are listed too. Raises `SpaceError`."""
    require_scorable(space, request.definition, exact=exact, top=top)
    scorers = open_all(space, devices, request, watch)
    parts = []
    for device in devices:
        tables, scorer = scorers.tables[device.target.name], scorers.each[device.target.name]
        best = BestScorer(tables) if exact and top else scorer
        if exact:
            with watch.working("convolving the stages") as tell:
                result: SpaceScore = ExactScorer(tables).score(space)
                tell("following the best subnets")
                tops = _top(best, space, top)
        else:
            result, tops = scorer.score(space), _top(best, space, top)
        parts.append(TargetScore(device.target, result, tops, best.unit))
    return Scored(space, tuple(parts), combine)


def _top(scorer: Scorer, space: Space, count: int) -> tuple[tuple[Network, ...], ...]:
    return scorer.top(space, count) if count and isinstance(scorer, BestScorer) else ()
