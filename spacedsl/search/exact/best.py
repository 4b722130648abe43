"""The best subnets of a space under each latency limit: the least loss there is, proven, not the
best of some that were drawn.

From the last stage back, the least loss that can still follow is known for every latency that is
left (a staircase, exact). From the first stage on, the way with the least total is followed first;
so the K first ones to reach the end are the K best."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.search.block_tables import Place
from spacedsl.search.exact.front import Front, stage_fronts
from spacedsl.search.protocols import Floats
from spacedsl.search.qt_score import ModelScorer, RowsScorer
from spacedsl.search.stage_facts import StageFacts, require_space, stage_facts


@dataclass(frozen=True, slots=True)
class Best:
    """A subnet, its latency in ms and its loss (the sum of its stages' NSR losses), as the scorer
    counts them: stem, stages that are not elastic, and head as small as they can be."""

    subnet: Subnet
    latency_ms: float
    loss: float

    @property
    def accuracy(self) -> float:
        """1 / loss, what scores are made of."""
        return 1.0 / self.loss


@dataclass(frozen=True, slots=True)
class _Stairs:
    """The least loss that follows within a latency: `loss` falls as `ms` rises."""

    ms: Floats
    loss: Floats

    def within(self, ms: Floats) -> Floats:
        """Losses, inf where nothing is that fast."""
        if not len(self.ms):
            return np.full_like(ms, np.inf)
        at = np.searchsorted(self.ms, ms, side="right") - 1
        return np.where(at < 0, np.inf, self.loss[np.maximum(at, 0)])


Fronts = list[list[Front]]
"""Of one stage, by width in and width out."""


def best_subnets(
    scorer: ModelScorer | RowsScorer, space: Space, count: int
) -> tuple[tuple[float, tuple[Best, ...]], ...]:
    """Per limit (ms), the `count` subnets of the least loss whose latency is at most that, best
    first; fewer where there are no more. Raises `SpaceError`."""
    if isinstance(scorer, RowsScorer):
        message = "table rows do not chain, so the best of them are no networks"
        raise fault("bad-option", message, "leave --top out, or use --scorer model")
    require_space(space)
    scorer.require(space)
    chain = scorer.chain(space)
    stages = [
        (stage_facts(space.stages[position]), place)
        for position, place in zip(space.elastic, chain.places, strict=True)
    ]
    top = max(scorer.limits_ms)
    known = []
    for r, fixed_ms in enumerate(chain.total_ms):
        fronts = _linked([_fronts(scorer, stage, r, count) for stage in stages])
        known.append((fixed_ms, fronts, _stairs(fronts, top - fixed_ms)))
    found = []
    for limit in scorer.limits_ms:
        ways = _search(known, limit, count)
        best = [
            Best(
                _subnet(space, chain.resolutions[way.r], stages, way.path, f"{limit:g}ms-{i}"),
                way.ms,
                way.loss,
            )
            for i, way in enumerate(ways, 1)
        ]
        found.append((limit, tuple(best)))
    return tuple(found)


def _fronts(scorer: ModelScorer, stage: tuple[StageFacts, Place], r: int, count: int) -> Fronts:
    facts, place = stage
    losses = scorer.stage_loss(place.number, facts)
    return stage_fronts(facts, scorer._stage_tables(facts, place, losses), losses, r, count)


def _linked(fronts: list[Fronts]) -> list[Fronts]:
    """A stage after a fixed one takes whatever width goes in there alike."""
    linked = fronts[:1]
    for before, stage in pairwise(fronts):
        count = len(before[0])
        linked.append(stage if len(stage) == count else stage[:1] * count)
    return linked


def _stairs(fronts: Sequence[Fronts], most_ms: float) -> list[list[_Stairs]]:
    """Per stage and width in, and after the last stage, what can follow within `most_ms`."""
    end = [_Stairs(np.zeros(1), np.zeros(1)) for _ in fronts[-1][0]]
    found = [end]
    for stage in reversed(fronts):
        steps = []
        for row in stage:
            pairs = list(zip(row, found[-1], strict=True))
            ms = np.concatenate([np.add.outer(f.ms, s.ms).ravel() for f, s in pairs])
            loss = np.concatenate([np.add.outer(f.loss, s.loss).ravel() for f, s in pairs])
            fast = np.flatnonzero(ms <= most_ms)
            order = fast[np.lexsort((loss[fast], ms[fast]))]
            falling = np.minimum.accumulate(loss[order])
            new = np.ones(len(order), dtype=bool)
            new[1:] = falling[1:] < falling[:-1]
            steps.append(_Stairs(ms[order][new], falling[new]))
        found.append(steps)
    return found[::-1]


@dataclass(frozen=True, slots=True)
class _Way:
    """The first stages of a subnet: resolution, width that goes out, latency with the fixed parts
    in ms, loss, and the stages' blocks as `Front` has them."""

    r: int
    width: int
    ms: float
    loss: float
    path: tuple[tuple[int, ...], ...]


def _search(
    known: Sequence[tuple[float, list[Fronts], list[list[_Stairs]]]], limit: float, count: int
) -> list[_Way]:
    """The best ways to the end. In the heap: least total loss, number, way."""
    heap: list[tuple[float, int, _Way]] = []
    for r, (fixed_ms, _, stairs) in enumerate(known):
        total = float(stairs[0][0].within(np.array([limit - fixed_ms]))[0])
        if np.isfinite(total):
            heap.append((total, r, _Way(r, 0, fixed_ms, 0.0, ())))
    heapq.heapify(heap)
    done: list[_Way] = []
    number = len(known)
    while heap and len(done) < count:
        _, _, way = heapq.heappop(heap)
        _, fronts, stairs = known[way.r]
        place = len(way.path)
        if place == len(fronts):
            done.append(way)
            continue
        row, after = fronts[place][way.width], stairs[place + 1]
        totals = [
            way.loss + front.loss + rest.within(limit - (way.ms + front.ms))
            for front, rest in zip(row, after, strict=True)
        ]
        widths = np.repeat(np.arange(len(row)), [len(front.ms) for front in row])
        within = np.concatenate([np.arange(len(front.ms)) for front in row])
        every = np.concatenate(totals)
        for i in np.argsort(every, kind="stable")[:count].tolist():
            if not np.isfinite(every[i]):
                break
            width, at = int(widths[i]), int(within[i])
            front = row[width]
            blocks = tuple(b for b in front.blocks[at].tolist() if b >= 0)
            ms, loss = way.ms + float(front.ms[at]), way.loss + float(front.loss[at])
            heapq.heappush(
                heap, (float(every[i]), number, _Way(way.r, width, ms, loss, (*way.path, blocks)))
            )
            number += 1
    return done


def _subnet(
    space: Space,
    resolution: int,
    stages: Sequence[tuple[StageFacts, Place]],
    path: Sequence[tuple[int, ...]],
    name: str,
) -> Subnet:
    chosen = iter(zip(stages, path, strict=True))
    found = []
    for declared in space.stages:
        if not declared.elastic:
            block = smallest_block(declared, declared.choices[0])
            found.append(SubnetStage(blocks=(block,) * declared.depths[0]))
            continue
        (facts, _), blocks = next(chosen)
        found.append(SubnetStage(blocks=tuple(_block(facts, code) for code in blocks)))
    return Subnet(
        name=f"{space.name}-{name.replace('.', '_')}",
        of=space,
        resolution=resolution,
        stages=tuple(found),
    )


def _block(facts: StageFacts, code: int) -> SubnetBlock:
    width, setting = divmod(code, len(facts.combos))
    settings = tuple(Setting(name=n, value=v) for n, v in facts.combos[setting])
    return SubnetBlock(width=facts.widths[width], settings=settings)
