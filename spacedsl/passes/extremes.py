"""Least and greatest FLOPs, parameters and memory, or any other sum over blocks, over all subnets
of a space or hyperspace. Exact.

Neither is simply the cost of the narrowest or widest subnet: alternating widths add projections
to shortcuts. A block's cost depends on its input width, output width and settings, so the
extremes follow by dynamic programming over stages and blocks with the width as state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.passes.bind import Site, output_size
from spacedsl.passes.cost import bound_cost
from spacedsl.passes.memory import bound_memory


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest, both attained."""

    least: int
    greatest: int

    def __or__(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.greatest, other.greatest))


@dataclass(frozen=True, slots=True)
class CostRange:
    """FLOPs (multiply-accumulates), parameters, those of them that are weights (see `cost`) and
    bytes of activations (see `memory`)."""

    flops: Range
    params: Range
    weights: Range
    memory: Range

    def __or__(self, other: CostRange) -> CostRange:
        weights, memory = self.weights | other.weights, self.memory | other.memory
        return CostRange(self.flops | other.flops, self.params | other.params, weights, memory)


_Settings = tuple[tuple[Value, ...], ...]
Floats = NDArray[np.float64]
Measure = Callable[[Sequence[Site]], Floats]
"""What blocks cost: (quantities, sites). Every quantity is minimised; NaN where it is not known."""

Join = Callable[[Floats, Floats], Floats]
"""What blocks cost one after the other, (quantities, ...) each: their sum, mostly."""


def cost_range(space: Space) -> CostRange:
    """Extremes over every resolution, block type, window, depth, width and setting."""
    ends = {space.resolutions[0], space.resolutions[-1]}
    ranges = [_range_at(space, resolution) for resolution in sorted(ends)]
    return ranges[0] if len(ranges) == 1 else ranges[0] | ranges[1]


def _range_at(space: Space, resolution: int) -> CostRange:
    least = minima(space, resolution, costs, joined)
    return CostRange(*(Range(int(least[i]), -int(least[i + 1])) for i in (0, 2, 4, 6)))


def least_costs(space: Space) -> tuple[int, int, int]:
    """The least FLOPs, parameters and memory of any network: that of the narrowest widths."""
    least = minima(_narrowest(space), space.resolutions[0], costs, joined)
    return int(least[0]), int(least[2]), int(least[6])


def least_greatest(space: Space) -> tuple[int, int, int]:
    """FLOPs, parameters and memory that the largest network of every space of a hyperspace has at
    least: those of narrowest windows, each stage's block type the one that costs least there."""

    def greatest(sites: Sequence[Site]) -> Floats:
        return costs(sites)[1::2]

    state: Floats = np.zeros((4, 1))  # negated, by the width that comes out
    for stage, cins, size in walk(_narrowest(space), space.resolutions[-1]):
        alone = (stage.model_copy(update={"choices": (choice,)}) for choice in stage.choices)
        steps = np.max([transitions(s, cins, size, greatest, joined) for s in alone], axis=0)
        state = joined(state[:, :, None], steps).min(axis=1)
    flops, params, _, memory = (-state.min(axis=1)).tolist()
    return int(flops), int(params), int(memory)


def _narrowest(space: Space) -> Space:
    """The space of each elastic stage's narrowest window."""
    stages = tuple(
        s.model_copy(update={"widths": s.widths[: s.window]}) if s.elastic and s.widths else s
        for s in space.stages
    )
    return space.model_copy(update={"stages": stages})


def costs(sites: Sequence[Site]) -> Floats:
    """Least and greatest FLOPs, parameters, weights and memory in turn, the greatest negated.
    float64 holds them exactly to 2**53."""
    rows = []
    for site in sites:
        bound = site.bind()
        cost, memory = bound_cost(bound), bound_memory(site, bound)
        sums = cost.flops, cost.params, cost.weights, memory
        rows.append(tuple(signed for amount in sums for signed in (amount, -amount)))
    return np.array(rows, dtype=np.float64).T


def joined(first: Floats, then: Floats) -> Floats:
    """Rows of `costs`, all or each second one, of one part and of the next: sums, but the memory,
    which stands last, of the part that needs most."""
    found = first + then
    memory = slice(len(found) * 3 // 4, None)
    more = np.abs(first[memory]) >= np.abs(then[memory])
    found[memory] = np.where(more, first[memory], then[memory])
    return found


def minima(space: Space, resolution: int, measure: Measure, join: Join = np.add) -> Floats:
    """The least sum of each quantity over all subnets at `resolution` pixels, (quantities,); NaN
    where a block that a subnet can have is not known."""
    states: Floats | None = None  # (quantities, widths): sums so far, by width
    for stage, cins, size in walk(space, resolution):
        steps = transitions(stage, cins, size, measure, join)
        start = np.zeros((len(steps), 1)) if states is None else states
        states = join(start[:, :, None], steps).min(axis=1)
    if states is None:
        raise ValueError("a space of no stages")
    least: Floats = states.min(axis=1)
    return least


def walk(space: Space, resolution: int) -> Iterator[tuple[Stage, tuple[int, ...], int]]:
    """Every stage, the widths that may come into it and the height in pixels of its input."""
    cins: tuple[int, ...] = (space.channels,)
    size = resolution
    for stage in space.stages:
        yield stage, cins, size
        size = _stage_output(stage, cins[0], size)
        cins = stage.widths or cins


def transitions(
    stage: Stage, cins: tuple[int, ...], size: int, measure: Measure, join: Join = np.add
) -> Floats:
    """The least sums over a stage, (quantities, widths in, widths out), whatever it chooses: block
    type, window, depth, settings. `size`: input height."""
    outs = stage.widths or cins
    best: Floats | None = None
    for choice in stage.choices:
        for columns, settings in _members(stage, choice, len(outs)):
            first = _table(stage, choice, (cins, outs), settings, size, stage.stride, measure)
            inner = -(-size // stage.stride)
            again = first
            if stage.depths[-1] > 1:
                again = _table(stage, choice, (outs, outs), settings, inner, 1, measure)
            if best is None:
                best = np.full((len(first), len(cins), len(outs)), np.inf)
            for window in columns:
                repeated = again[:, window, window] if again is not first else again
                found = _run(stage, first[:, :, window], repeated, join)
                best[:, :, window] = np.minimum(best[:, :, window], found)
    if best is None:
        raise ValueError(f"{stage.name} has no block")
    return best


def _run(stage: Stage, first: Floats, again: Floats, join: Join) -> Floats:
    """Sums by width in and out over the stage's depths, as `transitions`."""
    if not stage.widths:  # a body that keeps the width
        return first
    best, reached = np.full_like(first, np.inf), first
    for depth in range(1, stage.depths[-1] + 1):
        if depth > 1:
            reached = join(reached[:, :, :, None], again[:, None]).min(axis=2)
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
    measure: Measure,
) -> Floats:
    """Minima over settings of one block, (quantities, widths in, widths out); `size`: input
    height. Where a stage has no widths, only the diagonal is said."""
    names = [arg.name for arg in choice.numeric]
    chosen = [tuple(zip(names, values, strict=True)) for values in product(*settings)]
    pairs = [
        (i, j)
        for (i, cin), (j, cout) in product(*map(enumerate, widths))
        if stage.widths or cin == cout
    ]
    sites = [
        Site(choice, widths[0][i], widths[1][j] if stage.widths else 0, size, stride, values)
        for i, j in pairs
        for values in chosen
    ]
    found = measure(sites)
    least = found.reshape(len(found), len(pairs), len(chosen)).min(axis=2)
    table = np.full((len(found), len(widths[0]), len(widths[1])), np.inf)
    rows, columns = np.array(pairs).T
    table[:, rows, columns] = least
    return table


def _stage_output(stage: Stage, cin: int, size: int) -> int:
    """Output height in pixels: the same whatever the block type, width and setting."""
    choice = stage.choices[0]
    settings = tuple((a.name, a.values[0]) for a in choice.numeric)
    width = stage.widths[0] if stage.widths else 0
    return output_size(Site(choice, cin, width, size, stage.stride, settings))
