"""Latency of blocks on a device whose table was fitted: measured, interpolated or estimated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import isnan, nan

import numpy as np

from spacedsl.ir.block import Block, Op, Se, walk, with_bodies
from spacedsl.ir.identity import digest
from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import Size, pair, size_of
from spacedsl.passes.bind import Site
from spacedsl.passes.errors import BindError
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Prediction
from spacedsl.tables.blocks import KernelCache, canonical_settings, family
from spacedsl.tables.effects import Unit
from spacedsl.tables.panels import Panels
from spacedsl.tables.prior import Prior
from spacedsl.tables.schema import MS_PER_UNIT, LatencyData

Answer = tuple[float, Coverage]
UNCOVERED: Answer = (nan, Coverage.UNCOVERED)


def kernel_unit(kernel: Kernel) -> Unit:
    """A kernel as a unit of a table. Its setting is the side of its window; of one that is not
    square, is dilated or has no padding all of that."""
    kind, cin, cout, size, window, stride, dilation, valid = kernel
    settings: tuple[float, ...] = (*pair(window), *pair(dilation), float(valid))
    if isinstance(window, int) and dilation == 1 and not valid:
        settings = (float(window),)
    return Unit(kind, settings, stride, size, cin, cout)


def unit_kernel(unit: Unit) -> Kernel:
    """The inverse of `kernel_unit`."""
    kernel = Kernel(unit.family, unit.cin, unit.cout, unit.size, stride=unit.stride)
    if len(unit.settings) == 1:
        return kernel._replace(kernel=int(unit.settings[0]))
    rows, columns, down, across, valid = map(int, unit.settings)
    window, dilation = size_of(rows, columns), size_of(down, across)
    return kernel._replace(kernel=window, dilation=dilation, valid=bool(valid))


def block_unit(site: Site, known: Iterable[str] = ()) -> Unit:
    """A block in its place as a unit of a table that has these families."""
    found = family(site.choice, known)
    settings = canonical_settings(found.order, site)
    return Unit(found.identity, settings, site.stride, site.size, site.cin, site.cout)


def without_se(choice: BlockChoice) -> BlockChoice | None:
    """The block type without squeeze and excitation; None where it has none."""
    if not any(isinstance(op, Se) for op in walk(choice.block.ops)):
        return None
    block = Block(
        name=choice.block.name,
        params=choice.block.params,
        lets=choice.block.lets,
        ops=_drop_se(choice.block.ops),
    )
    return BlockChoice(block=block, args=choice.args)


def _drop_se(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    return tuple(with_bodies(op, _drop_se) for op in ops if not isinstance(op, Se))


class FittedLatency:
    """`LatencyModel` of a table. In order of preference: the unit as fitted; between measured
    widths or sizes; the same block without SE plus an estimated SE; the sum of its estimated
    kernels (stem, stage0 and head always come to this)."""

    def __init__(self, data: LatencyData) -> None:
        self.data = data
        self.prior = Prior(data.coefficients, data.limits)
        self.panels = Panels(_entries(data))
        self._cache = KernelCache()
        self._kernels: dict[Kernel, Answer] = {}

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Resolutions in pixels of the fitted rows."""
        return self.data.resolutions

    @property
    def fastest_ms(self) -> float:
        """Whole networks were not measured."""
        return 0.0

    @cached_property
    def identity(self) -> str:
        """Content hash of the fitted latencies."""
        return digest(self.data.model_dump(mode="json"))

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """Milliseconds and coverage of each block, (N,); NaN where uncovered."""
        answer = self._by_kernel if self.data.granularity == "kernel" else self._by_block()
        ms = np.full(len(sites), nan)
        coverage = np.full(len(sites), Coverage.UNCOVERED, dtype=np.uint8)
        for i, site in enumerate(sites):
            try:
                ms[i], coverage[i] = answer(site)
            except BindError:
                continue
        return Prediction(ms, coverage)

    def _by_kernel(self, site: Site) -> Answer:
        total, worst = 0.0, Coverage.MEASURED
        for kernel in self._cache.kernels(site):
            found = self._kernels.get(kernel)
            if found is None:
                found = self._kernels[kernel] = self._kernel(kernel)
            total += found[0]
            worst = max(worst, found[1])
        return total, worst

    def _kernel(self, kernel: Kernel) -> Answer:
        unit = kernel_unit(kernel)
        known = self.panels.known.get(unit)
        if known is not None:
            return known
        between = self.panels.interpolate(unit, lambda u: self.prior.kernel_ms(unit_kernel(u)))
        if between is not None:
            return between, Coverage.INTERPOLATED
        return _estimated(self.prior.kernel_ms(kernel))

    def _by_block(self) -> _BlockAnswers:
        return _BlockAnswers(self)

    def estimate(self, site: Site) -> float:
        """The prior's milliseconds for a block; NaN where a kernel is unknown."""
        return self.prior.ms(self._cache.kernels(site))


class _BlockAnswers:
    """Answers for sites of one call; block types are resolved once."""

    def __init__(self, model: FittedLatency) -> None:
        self._model = model
        self._units: dict[tuple[int, object], tuple[str, tuple[float, ...]]] = {}
        self._bases: dict[int, BlockChoice | None] = {}

    def __call__(self, site: Site) -> Answer:
        unit = self._unit(site)
        known = self._model.panels.known.get(unit)
        if known is not None:
            return known
        between = self._between(site, unit)
        if between is not None:
            return between, Coverage.INTERPOLATED
        composed = self._composed(site)
        return composed if composed is not None else _estimated(self._model.estimate(site))

    def _unit(self, site: Site) -> Unit:
        key = (id(site.choice), site.settings)
        head = self._units.get(key)
        if head is None:
            unit = block_unit(site, self._model.panels.families)
            head = self._units[key] = (unit.family, unit.settings)
        return Unit(*head, site.stride, site.size, site.cin, site.cout)

    def _between(self, site: Site, unit: Unit) -> float | None:
        if unit.family not in self._model.panels.families:
            return None

        def prior(other: Unit) -> float:
            return self._model.estimate(
                replace(site, cin=other.cin, cout=other.cout, size=other.size)
            )

        return self._model.panels.interpolate(unit, prior)

    def _composed(self, site: Site) -> Answer | None:
        """The measured block without its SE, plus the prior's SE."""
        key = id(site.choice)
        if key not in self._bases:
            self._bases[key] = without_se(site.choice)
        base = self._bases[key]
        families = self._model.panels.families
        if base is None or family(base, families).identity not in families:
            return None
        plain = replace(site, choice=base)
        unit = self._unit(plain)
        known = self._model.panels.known.get(unit)
        ms = known[0] if known is not None else self._between(plain, unit)
        if ms is None:
            return None
        extra = self._model.estimate(site) - self._model.estimate(plain)
        return _estimated(ms + extra)


def _estimated(ms: float) -> Answer:
    return UNCOVERED if isnan(ms) else (ms, Coverage.ESTIMATED)


def _entries(data: LatencyData) -> Iterator[tuple[Unit, float, Coverage]]:
    for panel in data.panels:
        family_name, settings = data.families[panel.family], panel.settings
        absent = set(panel.interpolated)
        cins, couts = data.pairs[panel.pairs]
        for i, (cin, cout, value) in enumerate(zip(cins, couts, panel.value, strict=True)):
            coverage = Coverage.INTERPOLATED if i in absent else Coverage.MEASURED
            unit = Unit(family_name, settings, panel.stride, panel.size, cin, cout)
            yield unit, value * MS_PER_UNIT, coverage
