"""Least and greatest FLOPs, parameters and memory, or any other sum over blocks, over all subnets
of a space or hyperspace. Exact.

Neither is simply the cost of the narrowest or widest subnet: alternating widths add projections
to shortcuts. A block's cost depends on its input width, output width and settings, so the
extremes follow by dynamic programming over stages and blocks with the width as state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

import numpy as np

from spacedsl.ir.block import Value
from spacedsl.ir.expr import names_in
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site, output_size
from spacedsl.passes.costs import Floats, costs, trained
from spacedsl.passes.memory import waits
from spacedsl.passes.together import Grid


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest, both attained."""

    least: int
    greatest: int

    def __repr__(self) -> str:
        return f"{self.least:,} to {self.greatest:,}"

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
Measure = Callable[[Sequence[Site]], Floats]
"""What blocks cost: (quantities, sites). Every quantity is minimised; NaN where it is not known."""

Join = Callable[[Floats, Floats], Floats]
"""What blocks cost one after the other, (quantities, ...) each: their sum, mostly."""


def cost_range(space: Space) -> CostRange:
    """Extremes over every resolution, block type, window, depth, width and setting."""
    ends = dict.fromkeys((space.resolutions[0], space.resolutions[-1]))
    least = minima(space, tuple(ends), costs, joined).min(axis=1)
    return CostRange(*(Range(int(least[i]), -int(least[i + 1])) for i in (0, 2, 4, 6)))


def trained_range(space: Space) -> Range:
    """Extremes of the weights in training, where convolutions are trained as sums."""
    least, most = minima(space, space.resolutions[-1:], trained)[:, 0]
    return Range(int(least), -int(most))


def least_costs(space: Space) -> tuple[int, int, int]:
    """The least FLOPs, parameters and memory of any network: that of the narrowest widths."""
    least = minima(_narrowest(space), space.resolutions[:1], costs, joined)[:, 0]
    return int(least[0]), int(least[2]), int(least[6])


def least_greatest(space: Space) -> tuple[int, int, int]:
    """FLOPs, parameters and memory that the largest network of every space of a hyperspace has at
    least: those of narrowest windows, each stage's block type the one that costs least there."""

    def greatest(sites: Sequence[Site]) -> Floats:
        return costs(sites)[1::2]

    state: Floats = np.zeros((4, 1, 1))  # negated, by the width that comes out
    for stage, cins, sizes, kept in walk(_narrowest(space), space.resolutions[-1:]):
        alone = (stage.model_copy(update={"choices": (choice,)}) for choice in stage.choices)
        steps = np.max([transitions(s, cins, sizes, greatest, joined) for s in alone], axis=0)
        state = joined(state[..., None], held(steps, kept)).min(axis=-2)
    flops, params, _, memory = (-state.min(axis=-1)[:, 0]).tolist()
    return int(flops), int(params), int(memory)


def _narrowest(space: Space) -> Space:
    """The space of each elastic stage's narrowest window."""
    stages = tuple(
        s.model_copy(update={"widths": s.widths[: s.window]}) if s.elastic and s.widths else s
        for s in space.stages
    )
    return space.model_copy(update={"stages": stages})


def joined(first: Floats, then: Floats) -> Floats:
    """Rows of `costs`, all or each second one, of one part and of the next: sums, but the memory,
    which stands last, of the part that needs most."""
    found = first + then
    memory = _memory(found)
    more = np.abs(first[memory]) >= np.abs(then[memory])
    found[memory] = np.where(more, first[memory], then[memory])
    return found


def _memory(rows: Floats) -> slice:
    """Which rows of `costs`, all or each second one, are the memory."""
    return slice(len(rows) * 3 // 4, None)


def held(rows: Floats, kept: Sequence[int]) -> Floats:
    """Rows of `costs`, all or each second one, of a stage at each size, where so many bytes are
    kept meanwhile."""
    if any(kept):
        memory, more = _memory(rows), np.array(kept)[:, None, None]
        rows = rows.copy()
        rows[memory] += np.where(rows[memory] < 0, -more, more)
    return rows


def minima(
    space: Space, resolutions: Sequence[Size], measure: Measure, join: Join = np.add
) -> Floats:
    """The least sum of each quantity over all subnets at each resolution in pixels, (quantities,
    resolutions); NaN where a block that a subnet can have is not known."""
    states: Floats | None = None  # (quantities, resolutions, widths): sums so far, by width
    for stage, cins, sizes, kept in walk(space, resolutions):
        steps = transitions(stage, cins, sizes, measure, join)
        if join is joined:
            steps = held(steps, kept)
        start = np.zeros((*steps.shape[:2], 1)) if states is None else states
        states = join(start[..., None], steps).min(axis=-2)
    if states is None:
        raise ValueError("a space of no stages")
    least: Floats = states.min(axis=-1)
    return least


def walk(
    space: Space, resolutions: Sequence[Size]
) -> Iterator[tuple[Stage, tuple[int, ...], tuple[Size, ...], tuple[int, ...]]]:
    """Every stage, the widths that may come into it, the sizes in pixels of its input, and for each
    size the bytes that a pyramid keeps meanwhile."""
    cins: list[tuple[int, ...]] = [(space.channels,)]
    sizes = [tuple(resolutions)]
    for stage in space.stages:
        sizes.append(tuple(_stage_output(stage, cins[-1][0], size) for size in sizes[-1]))
        cins.append(stage.outs(cins[-1]))
    kept = zip(*(waits(space, column[:-1]) for column in zip(*sizes, strict=True)), strict=True)
    yield from zip(space.stages, cins, sizes, kept, strict=False)


def transitions(
    stage: Stage,
    cins: tuple[int, ...],
    sizes: tuple[Size, ...],
    measure: Measure,
    join: Join = np.add,
) -> Floats:
    """The least sums over a stage, (quantities, sizes, widths in, widths out), whatever it chooses:
    block type, window, depth, settings. `sizes`: of the input."""
    outs = stage.outs(cins)
    inner = tuple(_stage_output(stage, cins[0], size) for size in sizes)
    best: Floats | None = None
    table = _cost_table if measure is costs else partial(_table, measure=measure)
    if stage.growth is not None:
        return _growing(stage, cins, (sizes, inner), table, join)
    for choice in stage.choices:
        for span, settings in _members(stage, choice, len(outs)):
            windows = [slice(i, i + span) for i in range(len(outs) - span + 1)]
            pairs = [(i, j) for i in range(len(cins)) for j in range(len(outs))]
            if not stage.widths:
                pairs = [(i, i) for i in range(len(cins))]
            into = _Step(choice, cins, stage.widths, tuple(pairs), sizes, stage.stride)
            first = again = table(into, settings)
            if stage.widths and stage.depths[-1] > 1:
                near = ((i, j) for i in range(len(outs)) for j in range(len(outs)))
                pairs = [(i, j) for i, j in near if abs(i - j) < span]
                within = _Step(choice, outs, outs, tuple(pairs), inner, 1)
                again = table(within, settings)
            if best is None:
                best = np.full_like(first, np.inf)
            for window in windows:
                found = first[..., window]
                if stage.widths:
                    found = _run(stage.depths, found, again[..., window, window], join)
                best[..., window] = np.minimum(best[..., window], found)
    if best is None:
        raise ValueError(f"{stage.name} has no block")
    return best


def _growing(
    stage: Stage,
    cins: tuple[int, ...],
    sizes: tuple[tuple[Size, ...], tuple[Size, ...]],
    table: Callable[[_Step, _Settings], Floats],
    join: Join,
) -> Floats:
    """As `transitions`, of a stage whose widths follow from the one that comes in; `sizes`: of the
    input of its first block and of the others'."""
    (choice,), outs = stage.choices, stage.outs(cins)
    best: Floats | None = None
    for _, settings in _members(stage, choice, 1):
        sums: dict[int, Floats] = {}  # by the width behind: (quantities, sizes, widths in)
        for block in range(stage.depths[-1]):
            into, reached = tuple(sums) or cins, dict[int, Floats]()
            stride, size = (stage.stride, sizes[0]) if block == 0 else (1, sizes[1])
            for way, chosen in _ways(stage, choice, settings):
                ends = tuple(stage.width(cin, 0, chosen) for cin in into)
                pairs = tuple((i, i) for i in range(len(into)))
                costs_of = table(_Step(choice, into, ends, pairs, size, stride), way)
                for i, end in enumerate(ends):
                    more = costs_of[..., i, i, None]
                    if block == 0:
                        found = np.where(np.arange(len(cins)) == i, more, np.inf)
                    else:
                        found = join(sums[into[i]], more)
                    reached[end] = np.minimum(reached.get(end, found), found)
            sums = reached
            if best is None:
                best = np.full((*next(iter(sums.values())).shape, len(outs)), np.inf)
            for end in sums if block + 1 in stage.depths else ():
                at = best[..., outs.index(end)]
                np.minimum(at, sums[end], out=at)
    if best is None:
        raise ValueError(f"{stage.name} has no block")
    return best


def _ways(
    stage: Stage, choice: BlockChoice, settings: _Settings
) -> Iterator[tuple[_Settings, tuple[tuple[str, Value], ...]]]:
    """Settings in parts of one width each, and settings that say it."""
    steers = () if stage.growth is None else names_in(stage.growth)
    names = [arg.name for arg in choice.chosen]
    lists = [
        [(v,) for v in values] if name in steers else [values]
        for name, values in zip(names, settings, strict=True)
    ]
    for way in product(*lists):
        yield way, tuple((name, values[0]) for name, values in zip(names, way, strict=True))


def _run(depths: Sequence[int], first: Floats, again: Floats, join: Join) -> Floats:
    """Sums by width in and out over a stage's depths, as `transitions`."""
    best, reached = np.full_like(first, np.inf), first
    for depth in range(1, depths[-1] + 1):
        if depth > 1:
            reached = join(reached[..., None], again[..., None, :, :]).min(axis=-2)
        if depth in depths:
            best = np.minimum(best, reached)
    return best


def _members(stage: Stage, choice: BlockChoice, count: int) -> Iterator[tuple[int, _Settings]]:
    """How many of `count` widths, and settings, whose blocks choose freely: what is shared takes
    one value at a time."""
    span = 1 if "width" in stage.shared else stage.window or count
    lists = [
        [(v,) for v in arg.values] if arg.name in stage.shared else [arg.values]
        for arg in choice.chosen
    ]
    for settings in product(*lists):
        yield span, settings


@dataclass(frozen=True, slots=True)
class _Step:
    """A block between `pairs` (places) of widths in and out at each size of the input; no `outs`:
    it keeps the width."""

    choice: BlockChoice
    cins: tuple[int, ...]
    outs: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    sizes: tuple[Size, ...]
    stride: Size


def _table(step: _Step, settings: _Settings, measure: Measure) -> Floats:
    """Minima over settings, (quantities, sizes, widths in, widths out); inf beside the pairs."""
    names = [arg.name for arg in step.choice.chosen]
    chosen = tuple(tuple(zip(names, values, strict=True)) for values in product(*settings))
    widths = tuple((step.cins[i], step.outs[j] if step.outs else 0) for i, j in step.pairs)
    found = measure(Grid(step.choice, step.stride, chosen, step.sizes, widths))
    shape = (len(found), len(chosen), len(step.sizes), len(step.pairs))
    least = found.reshape(shape).min(axis=1)
    table = np.full((*least.shape[:2], len(step.cins), len(step.outs or step.cins)), np.inf)
    rows, columns = np.array(step.pairs).T
    table[..., rows, columns] = least
    return table


_cost_table = lru_cache(maxsize=1024)(partial(_table, measure=costs))
"""Pages that are compared share most of their blocks."""


def _stage_output(stage: Stage, cin: int, size: Size) -> Size:
    """The size of what comes out: the same whatever the block type, width and setting."""
    choice = stage.choices[0]
    settings = tuple((a.name, a.values[0]) for a in choice.chosen)
    width = stage.width(cin, stage.widths[0] if stage.widths else 0, settings)
    return output_size(Site(choice, cin, width, size, stage.stride, settings))
