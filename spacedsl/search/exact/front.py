"""The subnets of a space that no other beats: latency and loss of every stage's configurations, as
long as fewer than K others are both as fast and as good.

Within a stage a block adds to the latency and to the sum before the link, and the link rises, so
what is beaten there stays beaten, whatever comes before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.search.block_tables import StageTables
from spacedsl.search.exact.operators import shared_groups
from spacedsl.search.protocols import Floats, Ints, StageLoss
from spacedsl.search.stage_facts import StageFacts

FINER = 16
"""Into how many blocks those by rising latency are split at first, and what blocks shrink by."""


@dataclass(frozen=True, slots=True)
class Front:
    """N configurations by rising latency: `ms` and `loss` (the sum before the link, inside a
    stage), (N,) each; `blocks` (N, D): each block as its width's position times the number of
    settings plus its setting's, -1 after the last."""

    ms: Floats
    loss: Floats
    blocks: Ints


def unbeaten(ms: Floats, loss: Floats, layers: int) -> Ints:
    """By rising latency, where those stand that fewer than `layers` others beat or equal, and
    perhaps some more."""
    order = _ascending(ms, loss)
    values = loss[order]
    if layers == 1:
        new = np.ones(len(order), dtype=bool)
        new[1:] = values[1:] < np.minimum.accumulate(values)[:-1]
        return order[new]
    size = len(order)
    while size > layers:  # in ever smaller blocks: what `layers` of the blocks before beat
        size = max(layers, min(size, len(order)) // FINER)
        kept, best = [], np.full(layers, np.inf)
        for start in range(0, len(order), size):
            block = values[start : start + size]
            kept.append(block < best.max())
            both = np.concatenate([best, block])
            best = np.partition(both, layers - 1)[:layers]
        some = np.concatenate(kept)
        order, values = order[some], values[some]
    return order


def _ascending(ms: Floats, loss: Floats) -> Ints:
    """By rising latency, of equals by rising loss, then in turn."""
    return _settled(np.argsort(ms), ms, loss)


def _settled(order: Ints, ms: Floats, loss: Floats) -> Ints:
    """`order` is by rising latency; numpy's fastest sort leaves the order of equals open, so these
    are sorted once more."""
    sorted_ms = ms[order]
    equal = np.flatnonzero(sorted_ms[1:] == sorted_ms[:-1])
    if len(equal):
        at = np.union1d(equal, equal + 1)
        some = order[at]
        order[at] = some[np.lexsort((some, loss[some], ms[some]))]
    return order


def unbeaten_rows(ms: Floats, loss: Floats, layers: int) -> tuple[Ints, Ints]:
    """As `unbeaten`, of each row of (C, N) at once: rows, rising, and where in them."""
    if layers > 1:
        each = [unbeaten(*row, layers) for row in zip(ms, loss, strict=True)]
        return np.repeat(np.arange(len(ms)), [len(at) for at in each]), np.concatenate(each)
    order = np.argsort(ms, axis=1)
    sorted_ms = np.take_along_axis(ms, order, axis=1)
    for i in np.flatnonzero((sorted_ms[:, 1:] == sorted_ms[:, :-1]).any(axis=1)).tolist():
        order[i] = _settled(order[i], ms[i], loss[i])
    values = np.take_along_axis(loss, order, axis=1)
    new = np.ones(values.shape, dtype=bool)
    np.less(values[:, 1:], np.minimum.accumulate(values, axis=1)[:, :-1], out=new[:, 1:])
    row, at = np.nonzero(new)
    return row, order[row, at]


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of one width with any of K settings, from each of C widths: latency and loss, (C, K),
    what is added to the loss, (C,), and the numbers that a `Front` has it as, (K,)."""

    ms: Floats
    loss: Floats
    base: Floats
    numbers: Ints


def _block(ms: Floats, loss: Floats, base: Floats, numbers: Ints, layers: int) -> _Block:
    """Without settings that enough others beat whichever width it comes from."""
    before = np.tri(len(numbers), k=-1, dtype=bool)  # of equals the first is the better one
    beats = (ms[:, None] <= ms[..., None]) & (loss[:, None] <= loss[..., None])
    equal = (ms[:, None] == ms[..., None]) & (loss[:, None] == loss[..., None])
    beaten = (beats & (before | ~equal)).sum(axis=2)
    some = (beaten < layers).any(axis=0)
    return _Block(ms[:, some], loss[:, some], base, numbers[some])


def stage_fronts(
    facts: StageFacts, tables: StageTables, losses: StageLoss, r: int, layers: int
) -> list[list[Front]]:
    """By width in and width out (positions), the configurations of a stage at resolution `r`."""
    count = len(facts.widths)
    ways: list[list[_Way]] = [[] for _ in range(count)]
    for kept in shared_groups(facts):
        for d, depth in enumerate(facts.depths):
            rest = _rest(facts, tables, (r, d, depth), kept, layers)
            for v in range(count):
                ms, loss = tables.first_ms[:, v, r, kept], tables.first_loss[:, v, r, d, 0, kept]
                numbers = v * len(facts.combos) + kept
                first = _block(ms, loss, tables.base[:, r, d], numbers, layers)
                for some, then in zip(ways, rest[v], strict=True):
                    if then is not None:
                        some.append((first, _padded(then, facts.deepest - 1)))
    each = [_followed(some, layers) for some in ways]
    return [
        [Front(f.ms, losses.link(f.loss), f.blocks) for f in row] for row in zip(*each, strict=True)
    ]


def _rest(
    facts: StageFacts, tables: StageTables, at: tuple[int, int, int], kept: Ints, layers: int
) -> list[list[Front | None]]:
    """By the first block's width and the last one's, what follows the first block; None where
    nothing leads from one to the other."""
    r, d, depth = at
    every = range(len(facts.widths))
    nothing = Front(np.zeros(1), np.zeros(1), np.empty((1, 0), dtype=np.int64))
    rest: list[list[Front | None]] = [[nothing if v == w else None for w in every] for v in every]
    for p in range(depth - 1, 0, -1):
        steps = []
        for x in every:
            froms = [x] if facts.shared_width else list(every)
            ms = tables.other_ms[froms, x, r][:, kept]
            loss = tables.other_loss[froms, x, r, d, p - 1][:, kept]
            numbers = x * len(facts.combos) + kept
            steps.append(_block(ms, loss, np.zeros(len(froms)), numbers, layers))
        found: list[list[Front | None]] = [[None for _ in every] for _ in every]
        for w in every:
            ways = [(steps[x], then) for x in every if (then := rest[x][w]) is not None]
            froms = [w] if facts.shared_width else list(every)
            for v, front in zip(froms, _followed(ways, layers), strict=True):
                found[v][w] = front
        rest = found
    return rest


_Way = tuple[_Block, Front]
"""A block, and what follows it."""


def _followed(ways: Sequence[_Way], layers: int) -> list[Front]:
    """By the width that ways come from, all their configurations but those that are beaten."""
    sizes = np.array([(len(first.numbers), len(then.ms)) for first, then in ways])
    starts, count = _starts(sizes.prod(axis=1)), len(ways[0][0].ms)
    ms, loss = np.empty((2, count, int(sizes.prod(axis=1).sum())))
    for (first, then), start, shape in zip(ways, starts.tolist(), sizes.tolist(), strict=True):
        here = slice(start, start + shape[0] * shape[1])
        np.add(first.ms[..., None], then.ms, out=ms[:, here].reshape(count, *shape))
        sums = first.loss[..., None] + then.loss
        np.add(sums, first.base[:, None, None], out=loss[:, here].reshape(count, *shape))
    row, at = unbeaten_rows(ms, loss, layers)
    way = np.searchsorted(starts, at, side="right") - 1
    i, j = np.divmod(at - starts[way], sizes[way, 1])
    firsts = np.concatenate([first.numbers for first, _ in ways])
    thens = np.concatenate([then.blocks for _, then in ways])
    i, j = i + _starts(sizes[:, 0])[way], j + _starts(sizes[:, 1])[way]
    blocks = np.concatenate([firsts[i, None], thens[j]], axis=1)
    cuts = np.searchsorted(row, np.arange(1, count))
    each = (np.split(array, cuts) for array in (ms[row, at], loss[row, at], blocks))
    return [Front(*found) for found in zip(*each, strict=True)]


def _starts(counts: Ints) -> Ints:
    return np.cumsum(counts) - counts


def _padded(front: Front, depth: int) -> Front:
    blocks = np.full((len(front.ms), depth), -1, dtype=front.blocks.dtype)
    blocks[:, : front.blocks.shape[1]] = front.blocks
    return Front(front.ms, front.loss, blocks)
