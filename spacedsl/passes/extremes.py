"""Least and greatest FLOPs and parameters over all subnets of a space or hyperspace. Exact.

Neither is simply the cost of the narrowest or widest subnet: alternating widths add projections
to shortcuts. A block's cost depends on its input width, output width and settings, so the
extremes follow by dynamic programming over stages and blocks with the width as state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, SubnetBlock
from spacedsl.passes.bind import output_size, site_of
from spacedsl.passes.cost import site_cost


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest, both attained."""

    least: int
    greatest: int

    def __add__(self, other: Range) -> Range:
        return Range(self.least + other.least, self.greatest + other.greatest)

    def __or__(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.greatest, other.greatest))


@dataclass(frozen=True, slots=True)
class CostRange:
    """FLOPs (multiply-accumulates) and parameters."""

    flops: Range
    params: Range

    def __add__(self, other: CostRange) -> CostRange:
        return CostRange(self.flops + other.flops, self.params + other.params)

    def __or__(self, other: CostRange) -> CostRange:
        return CostRange(self.flops | other.flops, self.params | other.params)


_States = dict[int, CostRange]
_Settings = tuple[tuple[Value, ...], ...]
_BlockCost = Callable[[int, int, bool, _Settings], CostRange]


def cost_range(space: Space) -> CostRange:
    """Extremes over every resolution, block type, window, depth, width and setting."""
    ends = {space.resolutions[0], space.resolutions[-1]}
    ranges = [_range_at(space, resolution) for resolution in sorted(ends)]
    return ranges[0] if len(ranges) == 1 else ranges[0] | ranges[1]


def _range_at(space: Space, resolution: int) -> CostRange:
    nothing = CostRange(Range(0, 0), Range(0, 0))
    states: _States = {space.channels: nothing}
    size = resolution
    for stage in space.stages:
        out: _States = {}
        for choice in stage.choices:
            block_cost = _block_coster(stage, choice, size)
            for widths, settings in _members(stage, choice):
                for width, cost in _stage_states(stage, states, widths, settings, block_cost):
                    out[width] = out[width] | cost if width in out else cost
        size = _stage_output(stage, states, size)
        states = out
    ranges = list(states.values())
    total = ranges[0]
    for cost in ranges[1:]:
        total = total | cost
    return total


def _members(stage: Stage, choice: BlockChoice) -> Iterator[tuple[tuple[int, ...], _Settings]]:
    """Sets of widths and settings whose blocks choose freely: one per window and, for what is
    shared, per value."""
    windows: tuple[tuple[int, ...], ...] = stage.windows if stage.widths else ((0,),)
    if "width" in stage.shared:
        windows = tuple((w,) for w in stage.widths)
    lists = [
        [(v,) for v in arg.values] if arg.name in stage.shared else [arg.values]
        for arg in choice.numeric
    ]
    yield from product(windows, product(*lists))


def _stage_states(
    stage: Stage,
    before: _States,
    widths: tuple[int, ...],
    settings: _Settings,
    block_cost: _BlockCost,
) -> Iterator[tuple[int, CostRange]]:
    states = before
    for depth in range(1, stage.depths[-1] + 1):
        after: _States = {}
        for (cin, cost), width in product(states.items(), widths):
            total = cost + block_cost(cin, width, depth == 1, settings)
            key = width or cin
            after[key] = after[key] | total if key in after else total
        states = after
        if depth in stage.depths:
            yield from states.items()


def _block_coster(stage: Stage, choice: BlockChoice, size: int) -> _BlockCost:
    """Cost range of one block over its settings, remembered. `size` is the stage's input height
    in pixels."""

    @cache
    def one(cin: int, width: int, first: bool, values: tuple[Value, ...]) -> CostRange:
        settings = tuple(
            Setting(name=a.name, value=v) for a, v in zip(choice.numeric, values, strict=True)
        )
        block = SubnetBlock(width=width, settings=settings)
        height = size if first else -(-size // stage.stride)
        cost = site_cost(site_of(choice, block, cin, height, stage.stride if first else 1))
        return CostRange(Range(cost.flops, cost.flops), Range(cost.params, cost.params))

    @cache
    def over(cin: int, width: int, first: bool, settings: _Settings) -> CostRange:
        ranges = [one(cin, width, first, values) for values in product(*settings)]
        total = ranges[0]
        for cost in ranges[1:]:
            total = total | cost
        return total

    return over


def _stage_output(stage: Stage, before: _States, size: int) -> int:
    choice = stage.choices[0]
    settings = tuple(Setting(name=a.name, value=a.values[0]) for a in choice.numeric)
    width = stage.widths[0] if stage.widths else 0
    block = SubnetBlock(width=width, settings=settings)
    site = site_of(choice, block, next(iter(before)), size, stage.stride)
    out = output_size(site)
    for _ in range(stage.depths[0] - 1):
        out = output_size(site_of(choice, block, width, out, 1))
    return out
