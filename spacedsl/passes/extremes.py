"""Least and greatest FLOPs and parameters over all subnets of a space or hyperspace. Exact.

Neither is simply the cost of the narrowest or widest subnet: alternating widths add projections
to shortcuts. A block's cost depends on its input width, output width and settings, so the
extremes follow by dynamic programming over stages and blocks with the width as state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.passes.bind import Site, output_size
from spacedsl.passes.cost import site_cost


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest, both attained."""

    least: int
    greatest: int

    def __or__(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.greatest, other.greatest))


@dataclass(frozen=True, slots=True)
class CostRange:
    """FLOPs (multiply-accumulates) and parameters."""

    flops: Range
    params: Range

    def __or__(self, other: CostRange) -> CostRange:
        return CostRange(self.flops | other.flops, self.params | other.params)


_Settings = tuple[tuple[Value, ...], ...]
_Table = NDArray[np.float64]
"""Costs, (4, widths in, widths out): least and greatest FLOPs, least and greatest parameters.
Greatest ones are negated, so that all four are minimised; float64 holds them exactly to 2**53."""


def cost_range(space: Space) -> CostRange:
    """Extremes over every resolution, block type, window, depth, width and setting."""
    ends = {space.resolutions[0], space.resolutions[-1]}
    ranges = [_range_at(space, resolution) for resolution in sorted(ends)]
    return ranges[0] if len(ranges) == 1 else ranges[0] | ranges[1]


def _range_at(space: Space, resolution: int) -> CostRange:
    cins: tuple[int, ...] = (space.channels,)
    size = resolution
    states = np.zeros((4, 1))  # cost so far, by width
    for stage in space.stages:
        outs = stage.widths or cins
        best = np.full((4, len(outs)), np.inf)
        for choice in stage.choices:
            for columns, settings in _members(stage, choice, len(outs)):
                first = _table(stage, choice, (cins, outs), settings, size, stage.stride)
                again = _table(stage, choice, (outs, outs), settings, -(-size // stage.stride), 1)
                for window in columns:
                    found = _run(stage, states, first[:, :, window], again[:, window, window])
                    best[:, window] = np.minimum(best[:, window], found)
        size = _stage_output(stage, cins[0], size)
        cins, states = outs, best
    least = states.min(axis=1)
    flops, params = (Range(int(least[i]), -int(least[i + 1])) for i in (0, 2))
    return CostRange(flops, params)


def _run(stage: Stage, states: _Table, first: _Table, again: _Table) -> _Table:
    """Costs by last width, (4, widths), over the stage's depths; `states` before it."""
    if not stage.widths:  # a body that keeps the width
        kept: _Table = states + np.diagonal(first, axis1=1, axis2=2)
        return kept
    reached: _Table = (states[:, :, None] + first).min(axis=1)
    best = np.full_like(reached, np.inf)
    for depth in range(1, stage.depths[-1] + 1):
        if depth > 1:
            reached = (reached[:, :, None] + again).min(axis=1)
        if depth in stage.depths:
            best = np.minimum(best, reached)
    return best


def _members(
    stage: Stage, choice: BlockChoice, count: int
) -> Iterator[tuple[list[slice], _Settings]]:
    """Windows (as slices of `count` widths) and settings whose blocks choose freely: what is
    shared takes one value at a time."""
    span = 1 if "width" in stage.shared else stage.window or count
    windows = [slice(i, i + span) for i in range(count - span + 1)]
    lists = [
        [(v,) for v in arg.values] if arg.name in stage.shared else [arg.values]
        for arg in choice.numeric
    ]
    for settings in product(*lists):
        yield windows, settings


def _table(
    stage: Stage,
    choice: BlockChoice,
    widths: tuple[tuple[int, ...], tuple[int, ...]],
    settings: _Settings,
    size: int,
    stride: int,
) -> _Table:
    """Extremes over settings of one block, by input and output width; `size`: input height."""
    table = np.full((4, len(widths[0]), len(widths[1])), np.inf)
    for (i, cin), (j, cout) in product(*map(enumerate, widths)):
        if not stage.widths and cin != cout:
            continue
        for values in product(*settings):
            chosen = tuple((a.name, v) for a, v in zip(choice.numeric, values, strict=True))
            width = cout if stage.widths else 0
            cost = site_cost(Site(choice, cin, width, size, stride, chosen))
            found = (cost.flops, -cost.flops, cost.params, -cost.params)
            table[:, i, j] = np.minimum(table[:, i, j], found)
    return table


def _stage_output(stage: Stage, cin: int, size: int) -> int:
    """Output height in pixels: the same whatever the block type, width and setting."""
    choice = stage.choices[0]
    settings = tuple((a.name, a.values[0]) for a in choice.numeric)
    width = stage.widths[0] if stage.widths else 0
    return output_size(Site(choice, cin, width, size, stage.stride, settings))
