"""Fit latencies to table rows: the prior, then kernels or blocks, whichever explains the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.operators.size import Size
from spacedsl.passes.kernels import Kernel
from spacedsl.tables.blocks import BlockIndex, KernelCache, index_blocks
from spacedsl.tables.effects import Unit, exact, exact_positive, smooth
from spacedsl.tables.latency import block_unit, kernel_unit
from spacedsl.tables.prior import Prior, feature_matrix, fit_prior
from spacedsl.tables.rows import SubstageRows, resolutions_of
from spacedsl.tables.schema import MS_PER_UNIT, LatencyData, PanelData
from spacedsl.tables.solve import Floats, Ints, sum_at

Pairs = tuple[tuple[int, ...], tuple[int, ...]]
"""Input and output channels, side by side."""

EXPLAINED = 0.95
"""Share of fitted rows within 1 % above which kernels are taken to add up."""


@dataclass(frozen=True, slots=True)
class BlockSystem:
    """Rows over blocks."""

    units: tuple[Unit, ...]
    index: BlockIndex

    def totals(self, values: Floats) -> Floats:
        """(units,) -> (rows,)."""
        return self.index.totals(values)

    def spread(self, values: Floats) -> Floats:
        """(rows,) -> (units,)."""
        return self.index.spread(values)


@dataclass(frozen=True, slots=True)
class KernelSystem:
    """Rows over blocks over kernels: entry i says that `block[i]` contains `kernel[i]`."""

    units: tuple[Unit, ...]
    index: BlockIndex
    block: Ints
    kernel: Ints

    def totals(self, values: Floats) -> Floats:
        """(units,) -> (rows,)."""
        return self.index.totals(self.blocks(values))

    def blocks(self, values: Floats) -> Floats:
        """(units,) -> (blocks,)."""
        return sum_at(self.block, values[self.kernel], len(self.index.sites))

    def spread(self, values: Floats) -> Floats:
        """(rows,) -> (units,)."""
        blocks = self.index.spread(values)
        return sum_at(self.kernel, blocks[self.block], len(self.units))


def fit_latency(files: Sequence[SubstageRows], space: Space) -> LatencyData:
    """Fit the latency column of `files`, rows of `space`'s tables."""
    target = np.concatenate([rows.latency_ms for rows in files])
    resolutions = resolutions_of(files, space)
    return fit_sums(index_blocks(files, space, reachable=True), target, resolutions)


def fit_sums(index: BlockIndex, target: Floats, resolutions: tuple[Size, ...]) -> LatencyData:
    """Fit latencies of rows (N,) in ms, which are sums over blocks."""
    kernels, system = _kernel_system(index)
    prior, kernel_ms = _fit_prior(kernels, system, target)

    trial = exact(system, kernel_ms, target, iterations=100)
    additive = _within(system.totals(trial), target, 0.01) >= EXPLAINED
    if additive:
        values, present = _solve(system, kernel_ms, target)
        units = system.units
    else:
        blocks = BlockSystem(tuple(block_unit(site) for site in index.sites), index)
        values, present = _solve(blocks, system.blocks(kernel_ms), target)
        units = blocks.units
    families, pairs, panels = _panels(units, values, present)
    return LatencyData(
        granularity="kernel" if additive else "block",
        resolutions=resolutions,
        coefficients={name: float(f"{value:.6g}") for name, value in prior.coefficients.items()},
        limits={name: float(f"{value:.6g}") for name, value in prior.limits.items()},
        families=families,
        pairs=pairs,
        panels=panels,
    )


def _kernel_system(index: BlockIndex) -> tuple[list[Kernel], KernelSystem]:
    cache = KernelCache()
    known: dict[Kernel, int] = {}
    block: list[int] = []
    kernel: list[int] = []
    for i, site in enumerate(index.sites):
        for one in cache.kernels(site):
            block.append(i)
            kernel.append(known.setdefault(one, len(known)))
    kernels = list(known)
    units = tuple(kernel_unit(one) for one in kernels)
    return kernels, KernelSystem(units, index, np.array(block), np.array(kernel))


def _fit_prior(
    kernels: Sequence[Kernel], system: KernelSystem, target: Floats
) -> tuple[Prior, Floats]:
    """The prior, and its milliseconds for each kernel."""
    _, matrix = feature_matrix(kernels)
    rows = np.stack([system.totals(column) for column in matrix.T], axis=1)
    prior = fit_prior(kernels, rows, target)
    ms = np.array([prior.kernel_ms(kernel) for kernel in kernels])
    unknown = sorted(
        {kernel.kind for kernel, each in zip(kernels, ms, strict=True) if np.isnan(each)}
    )
    if unknown:
        message = f"no latencies can be fitted to kernels of kind {', '.join(unknown)}"
        raise fault("table-row", message, "leave the blocks that have them out of the hyperspace")
    return prior, np.maximum(ms, 1e-6)


def _within(predicted: Floats, target: Floats, share: float) -> float:
    return float((np.abs(predicted / target - 1.0) <= share).mean())


def _solve(
    system: BlockSystem | KernelSystem, prior: Floats, target: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Milliseconds of each unit, and whether it is in at least one row."""
    start = np.maximum(smooth(system, prior, target), np.maximum(0.1 * prior, 10 * MS_PER_UNIT))
    values = exact_positive(system, start, target)
    return values, system.spread(np.ones_like(target)) > 0


def _panels(
    units: Sequence[Unit], values: Floats, present: NDArray[np.bool_]
) -> tuple[tuple[str, ...], tuple[Pairs, ...], tuple[PanelData, ...]]:
    """Families, channel pairs and panels of a table."""
    families = sorted({unit.family for unit in units})
    grouped: dict[tuple[int, tuple[float, ...], Size, Size], list[tuple[int, int, int]]] = {}
    for i, unit in enumerate(units):
        key = (families.index(unit.family), unit.settings, unit.stride, unit.size)
        grouped.setdefault(key, []).append((unit.cin, unit.cout, i))
    pairs: dict[Pairs, int] = {}
    panels: list[PanelData] = []
    for (number, settings, stride, size), found in sorted(grouped.items()):
        cins, couts, order = zip(*sorted(found), strict=True)
        panels.append(
            PanelData(
                family=number,
                settings=settings,
                stride=stride,
                size=size,
                pairs=pairs.setdefault((cins, couts), len(pairs)),
                value=tuple(int(v) for v in np.rint(values[list(order)] / MS_PER_UNIT)),
                interpolated=tuple(i for i, at in enumerate(order) if not present[at]),
            )
        )
    return tuple(families), tuple(pairs), tuple(panels)
