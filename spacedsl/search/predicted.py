"""Search for subnets by prediction.

Some random subnets are valued, and a model of what every setting is worth is fitted to the values.
The subnets that it predicts to be the best under each limit are valued next. This is repeated with
all values until the best stay, by value as by prediction. The model is additive over stages up to a
link, so the best by prediction are found exactly among all subnets (`spacedsl.search.best`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import fault
from spacedsl.ir.block import Value as Choice
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.protocols import LatencyModel, Prediction, QualityModel
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.subnets import VALUES, Best, Ms, Value, random_member, require_limits

RANDOM, TOGETHER = 120, 8

STAY = 3
"""A search ends after so many quiet rounds in a row. A round is quiet if it finds nothing better
under any limit, and the best by prediction under every limit was valued before. As long as the
prediction names another best, it has not been put to the test."""

TRIES = 40
"""Random subnets per wanted one, before a space counts as having no others."""

Fit = Callable[[Mapping[Subnet, float]], QualityModel]
"""Fits what subnets of one space are worth to the values of some."""


@dataclass(frozen=True, slots=True)
class Predicting:
    """`random` subnets are valued first; then in each round under every limit the `together` best
    by prediction, as far as they are new; `values` in all at most."""

    random: int = RANDOM
    together: int = TOGETHER
    values: int = VALUES
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `SpaceError`."""
        if self.values < self.random:
            message = f"{self.values} valued subnets are too few for a prediction"
            help = f"say --values {self.random} or more, or --by evolution"
            raise fault("bad-option", message, help)

    def most(self, limits: int) -> int:
        """How many subnets are valued at most, whatever the number of limits."""
        return self.values


def search_by_prediction(
    space: Space,
    limits_ms: Sequence[float],
    range_ms: tuple[float, float],
    latency: LatencyModel,
    ms: Ms,
    value: Value,
    fit: Fit,
    plan: Predicting,
) -> tuple[Best, ...]:
    """The best valued subnet of a space for every limit. `range_ms`: least and greatest latency of
    its subnets, all of which `latency` covers; `ms` is the same by subnet. Raises `SpaceError` for
    a limit that no subnet meets."""
    require_limits(space, limits_ms, range_ms)
    valued = _Valued(space, limits_ms, ms, value, plan.values)
    open_, everywhere = opened(space), _Everywhere(latency, space.resolutions)
    valued.take(_random(open_, plan))
    fresh, stayed = len(valued.of), 0
    while fresh and stayed < STAY and valued.tell(plan.random) and len(valued.of) < plan.values:
        inner = ModelScorer(open_, everywhere, fit(valued.of), limits_ms, definition="best")
        top = BestScorer(inner).top(open_, plan.together)
        before = valued.best()
        tested = all(valued.knows(n.subnet) for networks in top for n in networks[:1])
        fresh = valued.take([n.subnet for networks in top for n in networks])
        stayed = stayed + 1 if tested and valued.best() == before else 0
    found = valued.best()
    for limit, best in zip(limits_ms, found, strict=True):
        if best is None:
            message = f"no subnet of {space.name} below {limit:g} ms was found"
            raise fault("no-subnet", message, "ask for a greater limit")
    return tuple(best for best in found if best)


@dataclass(frozen=True, slots=True)
class _Everywhere:
    """A latency model at the resolutions of a space."""

    model: LatencyModel
    resolutions: tuple[Size, ...]

    @property
    def identity(self) -> str:
        return self.model.identity

    @property
    def fastest_ms(self) -> float:
        return self.model.fastest_ms

    def predict(self, sites: Sequence[Site]) -> Prediction:
        return self.model.predict(sites)


class _Valued:
    """Subnets of a space in which all stages are elastic, and their values: `of`."""

    def __init__(
        self, space: Space, limits_ms: Sequence[float], ms: Ms, value: Value, most: int
    ) -> None:
        self.space, self.limits_ms, self.ms, self.value, self.most = (
            space,
            limits_ms,
            ms,
            value,
            most,
        )
        self.of: dict[Subnet, float] = {}
        self._ms: dict[Subnet, float] = {}

    def take(self, subnets: Sequence[Subnet]) -> int:
        """Value those that are new, as long as there may be more; how many they were."""
        named = dict.fromkeys(map(_named, subnets))
        new = [s for s in named if s not in self.of][: self.most - len(self.of)]
        own = [s.model_copy(update={"of": self.space}) for s in new]
        self.of.update(zip(new, self.value(own), strict=True))
        self._ms.update((s, self.ms(s)) for s in new)
        return len(new)

    def knows(self, subnet: Subnet) -> bool:
        """Whether it is valued."""
        return _named(subnet) in self.of

    def tell(self, fewest: int) -> bool:
        """Whether there is something to be learnt from them."""
        return len(self.of) >= fewest and len(set(self.of.values())) > 1

    def best(self) -> list[Best | None]:
        """Per limit; of equals the faster one."""
        return [self._best(limit) for limit in self.limits_ms]

    def _best(self, limit: float) -> Best | None:
        fast = [s for s in self.of if self._ms[s] <= limit]
        if not fast:
            return None
        found = min(fast, key=lambda s: (-self.of[s], self._ms[s]))
        own = found.model_copy(update={"of": self.space})
        return Best(limit, own, self._ms[found], self.of[found])


def _named(subnet: Subnet) -> Subnet:
    """The same with the name that all have here."""
    return subnet.model_copy(update={"name": "subnet"})


def opened(space: Space) -> Space:
    """A space in which every stage that leaves a choice is elastic, stem and head too. Raises
    `SpaceError` where one of these has no widths."""
    return space.model_copy(update={"stages": tuple(map(_opened, space.stages))})


def _opened(stage: Stage) -> Stage:
    values = (stage.widths, stage.depths, *(arg.values for arg in stage.choices[0].chosen))
    if stage.elastic or max(map(len, values)) == 1:
        return stage
    if not stage.widths:
        message = f"a prediction does not vary `{stage.name}`, which has no widths"
        raise fault("no-widths", message, "say --by evolution")
    return stage.model_copy(update={"elastic": True, "window": len(stage.widths)})


def _random(space: Space, plan: Predicting) -> list[Subnet]:
    """Different random subnets, and more until every value of every setting is in one."""
    rng = random.Random(plan.seed)  # noqa: S311  not for secrets
    found: dict[Subnet, None] = {}
    missing = set(_values(space))
    for _ in range(TRIES * plan.random):
        if len(found) >= plan.random and not missing:
            break
        subnet = random_member(space, rng)
        shown = set(_shown(subnet))
        if len(found) < plan.random or missing & shown:
            found[subnet] = None
            missing -= shown
    return list(found)


Shown = tuple[int, str, Choice]
"""Stage (-1: the input), what is set, and how."""


def _values(space: Space) -> Iterator[Shown]:
    """All that subnets may show."""
    yield from ((-1, "resolution", r) for r in space.resolutions)
    for i, stage in enumerate(space.stages):
        yield from ((i, "depth", depth) for depth in stage.depths)
        yield from ((i, "width", width) for width in stage.widths)
        yield from ((i, f"{arg.name}=", v) for arg in stage.choices[0].chosen for v in arg.values)


def _shown(subnet: Subnet) -> Iterator[Shown]:
    yield -1, "resolution", subnet.resolution
    for i, stage in enumerate(subnet.stages):
        yield i, "depth", len(stage.blocks)
        for block in stage.blocks:
            yield i, "width", block.width
            yield from ((i, f"{s.name}=", s.value) for s in block.settings)
