"""The K best networks of spaces of a hyperspace under latency limits.

Losses are sums over stages; what a sum is worth depends on the resolution, so networks of different
resolutions are compared by their worth."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.search.best.distinct import Networks, Way
from spacedsl.search.best.line import Line
from spacedsl.search.best.parts import MULTIPLIERS, Parts
from spacedsl.search.best.prefixes import Prefixes
from spacedsl.search.best.query import Items, Paths, Query
from spacedsl.search.best.remaining import Remaining
from spacedsl.search.candidate import Genotype
from spacedsl.search.protocols import Floats, Ints, Valuation
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.scorer import Shifts

AT_ONCE = 64
"""Spaces that are looked at together."""

WINDOW, WIDER = 1e-3, 3.0
"""The first window, of the spread of losses, and what a window grows by."""

ENOUGH = 1 + 1e-6
"""Of a window that what was found lies in: no more is needed, but for rounding."""

NEAR = WINDOW * (1 + 1e-6)
"""What is kept apart of parts, of the spread of losses: for the first window."""


class Engine:
    """`count`: how many best networks count."""

    def __init__(self, scorer: ModelScorer, hyper: Space, count: int) -> None:
        self.line = Line(scorer, hyper, count)
        self.count = count
        self.limits_ms: Floats = np.array(scorer.limits_ms)
        self.valuation = scorer.quality.valuation
        self.spread = self._stage_spread()
        multipliers = MULTIPLIERS * (self.spread / self.limits_ms.max())
        self.parts = Parts(self.line, multipliers, NEAR * self.spread if count == 1 else 0.0)
        self.remaining = Remaining(self.line, float(self.limits_ms.max()))
        self.prefixes = _prefixes(self.line, self.limits_ms)
        self._networks = Networks(self.line)
        self._wider: Engine | None = None

    def shifted(self, shifts: Shifts) -> Engine:
        """The same with losses of some stages raised, but not below 0."""
        other = copy(self)
        other.line = self.line.shifted(shifts)
        other.parts = Parts(other.line, self.parts.multipliers, self.parts.near)
        other.remaining = Remaining(other.line, float(self.limits_ms.max()))
        other.prefixes = _prefixes(other.line, self.limits_ms)
        other._wider = None
        return other

    def valued(self, valuation: Valuation) -> Engine:
        """The same with losses worth something else."""
        other = copy(self)
        other.valuation, other._wider = valuation, None
        return other

    def _stage_spread(self) -> float:
        """About how far apart losses are."""
        found = 0.0
        for stage in range(self.line.stages):
            fronts = self.line.front(stage, self.line.genes(stage)[0]).fronts
            losses = np.concatenate([f.loss for rows in fronts for row in rows for f in row])
            found += float(losses.max() - losses.min())
        return found or 1.0

    def value(self, loss: Floats, r: Ints) -> Floats:
        """What losses are worth at resolutions (positions), same shape; -inf where the loss is
        inf."""
        found = np.full(loss.shape, -np.inf)
        for i, resolution in enumerate(self.line.resolutions):
            at = (r == i) & np.isfinite(loss)
            found[at] = self.valuation.value(loss[at], resolution)
        if np.isnan(found).any():
            raise fault("bad-table", "a loss is worth no number", "the tables are damaged")
        return found

    def values(self, genotypes: Sequence[Genotype]) -> Floats:
        """(N, T, K) what the best networks under each limit are worth, best first; -inf where there
        are no more."""
        shape = (len(genotypes), len(self.limits_ms), self.count)
        found = np.full(shape, -np.inf)
        for i in range(0, len(genotypes), AT_ONCE):
            run = genotypes[i : i + AT_ONCE]
            if self.count == 1:
                found[i : i + AT_ONCE] = _Best(self, run).values
                continue
            for row, limits in zip(found[i : i + AT_ONCE], self._different(run), strict=True):
                for values, ways in zip(row, limits, strict=True):
                    values[: len(ways)] = [way.value for way in ways]
        return found

    def bounds(self, genes: Genotype) -> Floats:
        """(genes, T): what the best network can be worth under each limit, at most, of spaces that
        begin with `genes` and go on with each gene of the next stage; -inf where nothing is that
        fast. `prefixes` must be prepared."""
        least = self.prefixes.least(genes)
        every = np.arange(len(least))[:, None, None]
        found: Floats = self.value(least, np.broadcast_to(every, least.shape)).max(axis=0)
        return found

    def most(self) -> float:
        """No network of the hyperspace is worth more: what one of the least loss would be, at any
        latency. No fronts are made."""
        least = np.sum([self.line.least_loss(i) for i in range(self.line.stages)], axis=0)
        return float(self.value(least, np.arange(len(least))).max())

    def best(self, genotype: Genotype) -> list[list[Way]]:
        """Under each limit the best different networks of a space, best first."""
        return self._different([genotype])[0]

    def _different(self, genotypes: Sequence[Genotype]) -> list[list[list[Way]]]:
        """Of some spaces, as `best`."""
        ways = _Best(self, genotypes).ways()
        return [self._enough(g, limits, self) for g, limits in zip(genotypes, ways, strict=True)]

    def _enough(
        self, genotype: Genotype, limits: list[list[Way]], asked: Engine
    ) -> list[list[Way]]:
        """Of the best ways, which `asked` found, the different networks; where some are the same,
        more ways are asked for."""
        if self.count == 1:
            return limits
        found = [self._networks.different(genotype, ways) for ways in limits]
        short = (len(f) < self.count for f in found)
        more = (len(ways) == asked.count for ways in limits)
        if any(a and b for a, b in zip(short, more, strict=True)):
            wider = asked.wider()
            return self._enough(genotype, _Best(wider, [genotype]).ways()[0], wider)
        return [ways[: self.count] for ways in found]

    def wider(self) -> Engine:
        """The same for twice as many networks."""
        if self._wider is None:
            engine = Engine(self.line.scorer, self.line.genome.hyper, 2 * self.count)
            shifts = self.line.shifts
            self._wider = (engine.shifted(shifts) if shifts else engine).valued(self.valuation)
        return self._wider


def _prefixes(line: Line, limits_ms: Floats) -> Prefixes:
    """Bounds go by the best network, however many count."""
    return Prefixes(line if line.layers == 1 else line.layered(1), limits_ms)


class _Best:
    """The best networks of some spaces. Arrays (N, T, K): their worth, and the lot of paths and
    place in it that they were found at."""

    def __init__(self, engine: Engine, genotypes: Sequence[Genotype]) -> None:
        self._engine, self._genotypes = engine, genotypes
        parts, limits_ms = engine.parts, engine.limits_ms
        self._query = Query(
            parts.columns(genotypes),
            parts.near,
            engine.line.first_ms,
            limits_ms,
            parts.multipliers,
            None if engine.count == 1 else engine.remaining.of(genotypes),
        )
        lower = self._query.bounds.lower  # (N, T, R)
        shape = (*lower.shape[:2], engine.count)
        self.values = np.full(shape, -np.inf)
        self._lots: list[Paths] = []
        self._found = np.full((*shape, 2), -1)
        every = np.broadcast_to(np.arange(lower.shape[2]), lower.shape)
        upper = engine.value(lower, every)
        first = upper == upper.max(axis=2, keepdims=True)
        self._settle(np.argwhere(first & np.isfinite(upper)))
        rest = np.argwhere(~first & (upper > self.values[:, :, -1:]))
        self._settle(rest)

    def _settle(self, asked: Ints) -> None:
        """Find the best of (space, limit, resolution), (I, 3)."""
        window = np.full(len(asked), WINDOW * self._engine.spread)
        space, limit, r = asked.T
        items = Items(space, limit, r, window)
        while len(items):
            open_ = [self._take(paths) for paths in self._query.paths(items)]
            items = Items(*map(np.concatenate, zip(*open_, strict=True)))

    def _take(self, paths: Paths) -> tuple[Ints, Ints, Ints, Floats]:
        """Take in what was found, and what must be looked at again, with a wider window."""
        items, count = paths.items, self._engine.count
        order = np.lexsort((paths.loss, paths.item))
        first = np.searchsorted(paths.item[order], np.arange(len(items)))
        rank = np.arange(len(order)) - first[paths.item[order]]
        order, rank = order[rank < count], rank[rank < count]
        best = np.full((len(items), count), -1)
        best[paths.item[order], rank] = order
        loss = np.where(best < 0, np.inf, paths.loss[best]) if len(order) else best + np.inf
        r = np.broadcast_to(items.r[:, None], loss.shape)
        most = self._query.bounds.lower[items.space, items.limit, items.r] + items.window
        done = paths.whole | (loss[:, -1] <= most)
        known = self.values[items.space, items.limit, -1]
        done |= self._engine.value(most, items.r) <= known
        self._merge(items[done], self._engine.value(loss, r)[done], best[done])
        self._lots.append(paths)
        again, found = items[~done], loss[~done, -1]
        known = found - self._query.bounds.lower[again.space, again.limit, again.r]
        window = np.minimum(again.window * WIDER, known * ENOUGH)
        return again.space, again.limit, again.r, window

    def _merge(self, items: Items, values: Floats, best: Ints) -> None:
        """Of each item its best networks, (I, K): worth, and place in this lot of paths."""
        found = np.stack([np.full_like(best, len(self._lots)), best], axis=2)
        for r in np.unique(items.r):  # so that no (space, limit) stands there twice
            some = items.r == r
            at = items.space[some], items.limit[some]
            every = np.concatenate([self.values[at], values[some]], axis=1)
            order = np.argsort(-every, axis=1, kind="stable")[:, : self._engine.count]
            self.values[at] = np.take_along_axis(every, order, axis=1)
            places = np.concatenate([self._found[at], found[some]], axis=1)
            self._found[at] = np.take_along_axis(places, order[..., None], axis=1)

    def ways(self) -> list[list[list[Way]]]:
        """The best networks of each space, per limit."""
        return [
            [
                [
                    self._way(genotype, int(lot), int(at), float(value))
                    for value, (lot, at) in zip(row, places, strict=True)
                    if np.isfinite(value)
                ]
                for row, places in zip(values, found, strict=True)
            ]
            for genotype, values, found in zip(
                self._genotypes, self.values, self._found, strict=True
            )
        ]

    def _way(self, genotype: Genotype, lot: int, at: int, value: float) -> Way:
        paths, engine = self._lots[lot], self._engine
        r = int(paths.items.r[paths.item[at]])
        blocks: list[tuple[int, ...]] = []
        for i, (width, point) in enumerate(paths.trail[at].tolist()):
            way = self._query.way(i, point)
            stages = engine.parts.blocks(i, genotype, (r, width), way)
            blocks += [tuple(b for b in found.tolist() if b >= 0) for found in stages]
        return Way(r, float(paths.ms[at]), float(paths.loss[at]), value, tuple(blocks))
