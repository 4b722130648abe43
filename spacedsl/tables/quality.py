"""NSR loss of a stage as a sum over its blocks, up to a monotone link.

For one elastic stage and block type:

    loss  = link(base + sum over blocks of term)
    base  = a[resolution, depth] + b[resolution, depth] * x + shape * x^2,  x = scaled log cin
    term  = position[depth, position] . (plain, crossed) + size[resolution] . plain

`plain` is 1, the settings as hat functions over the fitted values, u, u^2 and whether the shortcut
is the identity; `crossed` are v, v^2, u v, identity * u, settings * u, settings * v and products of
settings; u and v are the scaled logs of the block's output and input width. Values between fitted
ones interpolate; outside the fitted range there is no answer (NaN)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.identity import digest
from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import Pair, Size, as_number
from spacedsl.search.protocols import StageLoss, Valuation
from spacedsl.search.valuation import InverseLoss
from spacedsl.tables.blocks import family
from spacedsl.tables.schema import CalibrationData, QualityData, StageLossData, reach
from spacedsl.tables.solve import Floats, Ints
from spacedsl.tables.valuations import CalibratedLoss


def numbers(sizes: Sequence[Size]) -> list[float]:
    """Sizes as numbers to fit by."""
    return [as_number(size) for size in sizes]


def hats(values: Floats, knots: Sequence[float]) -> Floats:
    """Linear interpolation weights of `values` (N,) over ascending `knots`, (N, K)."""
    if len(knots) == 1:
        return np.ones((len(values), 1))
    return np.stack([np.interp(values, knots, row) for row in np.eye(len(knots))], axis=1)


def scaled(width: Ints | Floats, scale: tuple[float, float]) -> Floats:
    """Log width, centred and divided by its spread."""
    result: Floats = (np.log(width) - scale[0]) / scale[1]
    return result


def block_features(
    u: Floats, v: Floats, same: NDArray[np.bool_], settings: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """`plain` (N, F1) and `crossed` (N, F2) features of blocks. `settings`: hat weights (N, K) of
    each setting that has a choice."""
    identity = same.astype(float)
    columns = [column for weights in settings for column in weights.T]
    plain = [np.ones_like(u), *columns, u, u * u, identity]
    crossed = [v, v * v, u * v, identity * u]
    crossed += [column * u for column in columns] + [column * v for column in columns]
    for i, first in enumerate(settings):
        for second in settings[i + 1 :]:
            crossed += [a * b for a in first.T for b in second.T]
    return np.stack(plain, axis=1), np.stack(crossed, axis=1)


def positions(depths: Sequence[int]) -> dict[tuple[int, int], int]:
    """(depth, position) -> row of the position coefficients."""
    pairs = [(depth, position) for depth in depths for position in range(depth)]
    return {pair: row for row, pair in enumerate(pairs)}


def outside(values: Ints | Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Where `values` leave the closed range."""
    return (values < low) | (values > high)


def unknown(values: Floats, knots: Sequence[float]) -> NDArray[np.bool_]:
    """Where `values` leave the range of ascending knots, or are activations that are none of
    them: between sizes there are others, between activations there are none."""
    return outside(values, knots[0], knots[-1]) | ((values < 0) & ~np.isin(values, knots))


@dataclass(frozen=True)
class FittedStageLoss:
    """`StageLoss` of one entry. `order`: the caller's names of the settings, canonical order."""

    data: StageLossData
    resolutions: tuple[Size, ...]
    order: tuple[str, ...]

    @cached_property
    def _position(self) -> Floats:
        return np.array(self.data.position)

    @cached_property
    def _size(self) -> Floats:
        return np.array(self.data.size)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        return positions(self.data.depths)

    def _covers(self, resolution: float | Pair, depth: int) -> bool:
        inside = self.resolutions[0] <= resolution <= self.resolutions[-1]
        return inside and depth in self.data.depths

    def _resolution(self, resolution: float | Pair) -> Floats:
        weights: Floats = hats(np.array([as_number(resolution)]), numbers(self.resolutions))[0]
        return weights

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """(N,) constants of stages with `cin` (N,) channels in; NaN where not covered."""
        if not self._covers(resolution, depth):
            return np.full(len(cin), np.nan)
        at, weights = self.data.depths.index(depth), self._resolution(resolution)
        a = float(weights @ np.array(self.data.level_a)[:, at])
        b = float(weights @ np.array(self.data.level_b)[:, at])
        x = scaled(cin, self.data.cin_scale)
        total: Floats = a + b * x + self.data.shape * x * x
        return np.where(outside(cin, *self.data.cin), np.nan, total)

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """(N,) terms of block `position` of `depth`; NaN where not covered."""
        if not self._covers(resolution, depth) or not 0 <= position < depth:
            return np.full(len(cin), np.nan)
        data = self.data
        first = position == 0
        missing = outside(width, *data.width) | outside(cin, *(data.cin if first else data.width))
        weights: list[Floats] = []
        for name, values in zip(self.order, data.settings, strict=True):
            given = np.asarray(settings[name], dtype=float)
            missing |= unknown(given, values)
            if len(values) > 1:
                weights.append(hats(given, values))
        same = (np.asarray(cin) == width) & (not first or data.stride == 1)
        u = scaled(width, data.width_scale)
        v = scaled(cin, data.cin_scale if first else data.width_scale)
        plain, crossed = block_features(u, v, same, weights)
        coefficients = self._position[self._rows[depth, position]]
        size = self._resolution(resolution) @ self._size
        count = plain.shape[1]
        total = plain @ (coefficients[:count] + size) + crossed @ coefficients[count:]
        return np.where(missing, np.nan, total)

    def link(self, total: Floats) -> Floats:
        """Strictly increasing map from sums to losses: linear between knots and above them,
        exponential to 0 below."""
        x, y = (np.array(values) for values in self.data.knots)
        low, high = (y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2])
        inside = np.interp(total, x, y)
        above = y[-1] + max(high, 0.25) * (total - x[-1])
        below = y[0] * np.exp(np.minimum(total - x[0], 0.0) * max(low, 0.25) / y[0])
        result: Floats = np.where(total > x[-1], above, np.where(total < x[0], below, inside))
        return np.where(np.isnan(total), np.nan, result)

    @property
    def offset_uncertainty(self) -> float:
        """Standard uncertainty of the loss level; 0 where the table's own run measured it."""
        return self.data.offset_uncertainty

    def losses(
        self, resolution: Ints | Floats, cin: Ints, depth: Ints, widths: Ints, settings: Floats
    ) -> Floats:
        """NSR losses of N sub-stages, (N,); arguments as in `totals`."""
        return self.link(self.totals(resolution, cin, depth, widths, settings))

    def totals(
        self, resolution: Ints | Floats, cin: Ints, depth: Ints, widths: Ints, settings: Floats
    ) -> Floats:
        """Sums before the link of N sub-stages: (N,), (N,), (N,), widths (N, D), settings
        (N, D, P) in canonical order. NaN where not covered."""
        return stage_totals(self, self.order, (resolution, cin, depth, widths, settings))


Arrays = tuple[Ints | Floats, Ints, Ints, Ints, Floats]
"""Resolution as a number (N,), input channels (N,), depth (N,), widths (N, D), settings
(N, D, P)."""


def stage_totals(loss: StageLoss, names: Sequence[str], arrays: Arrays) -> Floats:
    """Base plus terms of N sub-stages, before the link, (N,); `names` of the settings, in the
    order of the last axis. NaN where not covered."""
    resolution, cin, depth, widths, settings = arrays
    total = np.full(len(cin), np.nan)
    for r in np.unique(resolution):
        for d in np.unique(depth):
            at = np.flatnonzero((resolution == r) & (depth == d))
            if not len(at):
                continue
            before = cin[at]
            total[at] = loss.base(float(r), int(d), before)
            for p in range(int(d)):
                named = {name: settings[at, p, j] for j, name in enumerate(names)}
                width = widths[at, p]
                total[at] += loss.terms(float(r), int(d), p, before, width, named)
                before = width
    return total


class FittedQuality:
    """`QualityModel` of a table."""

    def __init__(self, data: QualityData, calibration: CalibrationData | None = None) -> None:
        self.data, self.calibration = data, calibration
        self._entries = {(entry.stage, entry.block): entry for entry in data.stages}

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Resolutions in pixels of the fitted rows."""
        return self.data.resolutions

    @property
    def strides(self) -> dict[int, tuple[Size, ...]]:
        """By the number of an elastic stage, from 1: the strides it had."""
        found: dict[int, tuple[Size, ...]] = {}
        for entry in self.data.stages:
            found[entry.stage] = (*found.get(entry.stage, ()), entry.stride)
        return found

    @cached_property
    def identity(self) -> str:
        """Content hash of the fitted losses and of what they are worth."""
        losses = self.data.model_dump(mode="json")
        if self.calibration is None:
            return digest(losses)
        worth = self.calibration.model_dump(mode="json", exclude={"refits", "known"})
        return digest([losses, worth])

    def refits(self) -> tuple[FittedQuality, ...]:
        """As `QualityModel.refits`: of what the losses are worth, not of the losses."""
        known = self.calibration
        if known is None:
            return ()
        again = (dict(zip("abc", values, strict=True)) for values in known.refits)
        return tuple(FittedQuality(self.data, known.model_copy(update=u)) for u in again)

    @property
    def valuation(self) -> Valuation:
        """What the losses are worth: no more than their inverse, without a calibration."""
        if self.calibration is None:
            return InverseLoss()
        return CalibratedLoss(self.calibration, self.calibration.known or reach(self.data))

    def stage(self, number: int, choice: BlockChoice) -> FittedStageLoss | None:
        """The losses of elastic stage `number` (from 1) with this block type, or None."""
        found = family(choice, (block for at, block in self._entries if at == number))
        entry = self._entries.get((number, found.identity))
        if entry is None or len(entry.settings) != len(found.order):
            return None
        return FittedStageLoss(entry, self.resolutions, found.order)
