"""The definition `best`: a space is worth what its best networks are worth that keep a limit.

Q(A, T) is the mean of the K best of all networks of A whose whole latency is at most T; missing
ones count 0. A space's score is the sum over the limits, weighted where weights are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import fsum
from typing import Self

import numpy as np

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.operators.size import Size, as_number
from spacedsl.passes.bind import subnet_sites
from spacedsl.search.best.distinct import Way, chosen
from spacedsl.search.best.engine import Engine
from spacedsl.search.best.networks import BestScore, Network
from spacedsl.search.block_tables import StagePlace
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.draws import Draws
from spacedsl.search.protocols import Floats, QualityModel, Unit
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.scorer import Scorer, Shifts
from spacedsl.search.space_score import LimitScore
from spacedsl.search.stage_facts import StageFacts, require_space, stage_facts
from spacedsl.search.stage_vectors import StageVectors


class BestScorer(Scorer):
    """`inner`: the tables, and settings of the definition `best`."""

    name = "model"

    def __init__(self, inner: ModelScorer | RowsScorer) -> None:
        if isinstance(inner, RowsScorer):
            message = "table rows do not chain, so the best of them are no networks"
            help = "use --scorer model, or say --definition qt"
            raise fault("bad-option", message, help)
        super().__init__(inner.hyper, inner.latency, inner.resolutions, inner.settings)
        self.inner = inner

    @property
    def quality_identity(self) -> str:
        return self.inner.quality_identity

    @property
    def unit(self) -> Unit:
        """What scores are in."""
        return self.inner.quality.valuation.unit

    @property
    def identity(self) -> dict[str, object]:
        """Everything a score depends on; nothing is drawn."""
        found = self.inner.identity
        drawn = ("samples", "score_seed")
        weights = {"weights": list(self.settings.weights)}
        return {k: v for k, v in found.items() if k not in drawn} | weights

    def refitted(self, model: QualityModel) -> BestScorer:
        """The same by another fit of the quality table; what depends on losses alone is shared
        where these are the same."""
        chosen = self.settings
        options = (None, chosen.best, chosen.seed, chosen.definition, chosen.weights)
        inner = ModelScorer(self.hyper, self.latency, model, chosen.limits_ms, *options)
        other = BestScorer(inner)
        if self._same_losses(model):
            other.engine = self.engine.valued(model.valuation)
        return other

    def _same_losses(self, model: QualityModel) -> bool:
        mine, stages = self.inner.quality, self.hyper.stages
        return mine.resolutions == model.resolutions and all(
            mine.stage(number, choice) == model.stage(number, choice)
            for number, at in enumerate(self.hyper.elastic, 1)
            for choice in stages[at].choices
        )

    def reseeded(self, seed: int) -> Self:
        """Itself: nothing is drawn."""
        return self

    def missing(self, facts: StageFacts, place: StagePlace) -> list[str]:
        return self.inner.missing(facts, place)

    def compute(self, facts: StageFacts, place: StagePlace, draws: Draws) -> StageVectors:
        return self.inner.compute(facts, place, draws)

    @cached_property
    def engine(self) -> Engine:
        """The networks of all spaces of the hyperspace."""
        return Engine(self.inner, self.hyper, self.settings.best)

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The scores of spaces of the hyperspace under each limit."""
        return [self._limits(values) for values in self.engine.values(genotypes)]

    def _limits(self, values: Floats) -> tuple[LimitScore, ...]:
        """From the worth of the best under each limit, (T, K), best first."""
        best, there = self.settings.best, np.isfinite(values)
        return tuple(
            LimitScore(limit, fsum(row[some].tolist()) / best, best - int(some.sum()))
            for limit, row, some in zip(self.limits_ms, values, there, strict=True)
        )

    def score(self, space: Space, shifts: Shifts | None = None) -> BestScore:
        """The score of a space, and the networks that it is made of."""
        require_space(space)
        engine, genotype = self._engine(space, self.settings.best, shifts or {})
        ways = engine.best(genotype)
        values = np.full((len(ways), engine.count), -np.inf)
        for row, found in zip(values, ways, strict=True):
            row[: len(found)] = [way.value for way in found]
        limits = self._limits(values)
        return BestScore(
            score=self.total(limits),
            limits=limits,
            chain=self.chain(space),
            coverage=(),
            settings=self.settings,
            scorer=self.name,
            networks=self._networks(space, engine, ways),
            unit=self.unit,
        )

    def top(self, space: Space, count: int) -> tuple[tuple[Network, ...], ...]:
        """Per limit the `count` best networks of a space, best first."""
        require_space(space)
        engine, genotype = self._engine(space, count, {})
        return self._networks(space, engine, engine.best(genotype))

    def _engine(self, space: Space, count: int, shifts: Shifts) -> tuple[Engine, Genotype]:
        """What finds the best of a space, and which of its genotypes the space is: that of the
        hyperspace where there is one already, else one of the space alone."""
        moved = {number: shift for number, shift in shifts.items() if shift}
        if "engine" in self.__dict__ and count == self.settings.best:
            try:
                genotype = self.engine.line.genome.from_space(space)
            except SpaceError:  # it is of no hyperspace, or narrower
                pass
            else:
                return self.engine.shifted(moved) if moved else self.engine, genotype
        self.require(space)
        engine = Engine(self.inner, space, count)
        return engine.shifted(moved) if moved else engine, ((0, 0),) * len(space.elastic)

    def _networks(
        self, space: Space, engine: Engine, ways: Sequence[Sequence[Way]]
    ) -> tuple[tuple[Network, ...], ...]:
        return tuple(
            tuple(
                self._network(space, engine, way, _name(space, limit, i))
                for i, way in enumerate(found, 1)
            )
            for limit, found in zip(self.limits_ms, ways, strict=True)
        )

    def _network(self, space: Space, engine: Engine, way: Way, name: str) -> Network:
        resolution = engine.line.resolutions[way.r]
        subnet = _subnet(space, resolution, way, name)
        sites = subnet_sites(subnet)
        ms = iter(self.latency.predict([s for stage in sites for s in stage]).ms.tolist())
        latency_ms = fsum(fsum(next(ms) for _ in stage) for stage in sites)
        stages, known = len(space.elastic), engine.valuation.known
        inside = known is None or known.has(stages, way.value, as_number(resolution))
        sd, more = None, None
        if known is None or known.stages == stages:  # else nobody knows how wrong it is
            sd = engine.valuation.sd(np.array([way.loss]), resolution)
            more = engine.valuation.optimism
        return Network(
            subnet,
            latency_ms,
            way.loss,
            way.value,
            None if sd is None else float(sd[0]),
            None if more is None else way.value - more,
            None if inside else known,
        )


def _name(space: Space, limit: float, place: int) -> str:
    said = f"{space.name}-{limit:g}ms".replace(".", "_")
    return said if place == 1 else f"{said}-{place}"


def _subnet(space: Space, resolution: Size, way: Way, name: str) -> Subnet:
    elastic = iter(way.blocks)
    found = []
    for stage in space.stages:
        if stage.elastic:
            facts = stage_facts(stage)
            found.append(SubnetStage(blocks=tuple(_block(facts, code) for code in next(elastic))))
        else:
            block = smallest_block(stage, stage.choices[0])
            found.append(SubnetStage(blocks=(block,) * stage.depths[0]))
    return Subnet(name=name, of=space, resolution=resolution, stages=tuple(found))


def _block(facts: StageFacts, code: int) -> SubnetBlock:
    width, settings = chosen(facts, code)
    return SubnetBlock(width=width, settings=tuple(Setting(name=n, value=v) for n, v in settings))
