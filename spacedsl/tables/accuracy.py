"""Accuracies of trained networks as a sum over stages.

A network's top-1 in percent is `ceiling - exp(sum over stages - shift)`. For one elastic stage and
block type the summand is `base + sum over blocks of term`:

    base  = base[resolution, depth]
    term  = grid[depth, position](width, settings)

Widths, settings and resolutions between seen ones interpolate; outside of what was seen there is no
answer (NaN). `shift` is what was added to keep every stage's sum positive, as a loss is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from spacedsl.ir.identity import digest
from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import Pair, Size, as_number
from spacedsl.search.protocols import Floats, Ints, Valuation
from spacedsl.tables.blocks import family
from spacedsl.tables.quality import hats, numbers, positions, unknown
from spacedsl.tables.schema import AccuracyData, AccuracyRefit, StageAccuracyData
from spacedsl.tables.valuations import LinkedAccuracy


@dataclass(frozen=True)
class StageAccuracy:
    """`StageLoss` of one entry. `order`: the caller's names of the settings, canonical order."""

    data: StageAccuracyData
    resolutions: tuple[Size, ...]
    order: tuple[str, ...]

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        return positions(self.data.depths)

    @cached_property
    def _grid(self) -> Floats:
        shape = [len(values) for values in self.data.axes]
        return np.array(self.data.grid).reshape(-1, *shape)

    def _covers(self, resolution: float | Pair, depth: int) -> bool:
        inside = self.resolutions[0] <= resolution <= self.resolutions[-1]
        return inside and depth in self.data.depths

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """As `StageLoss.base`."""
        if not self._covers(resolution, depth):
            return np.full(len(cin), np.nan)
        weights = hats(np.array([as_number(resolution)]), numbers(self.resolutions))[0]
        column = np.array(self.data.base)[:, self.data.depths.index(depth)]
        return np.full(len(cin), float(weights @ column))

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """As `StageLoss.terms`."""
        if not self._covers(resolution, depth) or not 0 <= position < depth:
            return np.full(len(cin), np.nan)
        given = [width, *(np.asarray(settings[name], dtype=float) for name in self.order)]
        grid = self._grid[self._rows[depth, position]]
        return interpolated(grid, self.data.axes, [np.asarray(v, dtype=float) for v in given])

    def link(self, total: Floats) -> Floats:
        """Sums are losses as they are."""
        return total

    @property
    def offset_uncertainty(self) -> float:
        """Nothing was brought over from elsewhere."""
        return 0.0


def interpolated(grid: Floats, axes: Sequence[Sequence[float]], given: Sequence[Floats]) -> Floats:
    """(N,) values between the points of `grid`, linearly along each axis; NaN outside. `given`:
    (N,) coordinates per axis."""
    missing = np.zeros(len(given[0]), dtype=bool)
    corners: list[tuple[tuple[Ints, Floats], tuple[Ints, Floats]]] = []
    for values, knots in zip(given, axes, strict=True):
        missing |= unknown(values, knots)
        high = np.clip(np.searchsorted(knots, values), 0, len(knots) - 1)
        low = np.maximum(high - 1, 0)
        ends = np.asarray(knots, dtype=float)
        span = np.where(high > low, ends[high] - ends[low], 1.0)
        share = np.where(high > low, (values - ends[low]) / span, 1.0)
        corners.append(((low, 1.0 - share), (high, share)))
    total: Floats = np.zeros(len(given[0]))
    for corner in product(*corners):
        weight = np.prod([share for _, share in corner], axis=0)
        total += weight * grid[tuple(at for at, _ in corner)]
    return np.where(missing, np.nan, total)


class FittedAccuracy:
    """`QualityModel` of a table that was fitted to accuracies."""

    def __init__(self, data: AccuracyData) -> None:
        self.data = data
        self._entries = {(entry.stage, entry.block): entry for entry in data.stages}

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Resolutions in pixels of the fitted networks."""
        return self.data.resolutions

    @cached_property
    def identity(self) -> str:
        """Content hash of what was fitted."""
        return digest(self.data.model_dump(mode="json", exclude={"refits", "known"}))

    def refits(self) -> tuple[FittedAccuracy, ...]:
        """As `QualityModel.refits`: by resampled rows."""
        return tuple(FittedAccuracy(_refitted(self.data, refit)) for refit in self.data.refits)

    @property
    def valuation(self) -> Valuation:
        """Top-1 in percent."""
        return LinkedAccuracy(self.data)

    def stage(self, number: int, choice: BlockChoice) -> StageAccuracy | None:
        """What elastic stage `number` (from 1) with this block type takes, or None."""
        found = family(choice, (block for at, block in self._entries if at == number))
        entry = self._entries.get((number, found.identity))
        if entry is None or len(entry.axes) != len(found.order) + 1:
            return None
        return StageAccuracy(entry, self.resolutions, found.order)


def _refitted(data: AccuracyData, refit: AccuracyRefit) -> AccuracyData:
    stages = tuple(
        entry.model_copy(update={"base": base, "grid": grid})
        for entry, base, grid in zip(data.stages, refit.base, refit.grid, strict=True)
    )
    return data.model_copy(update={"stages": stages, "shift": refit.shift, "refits": ()})
