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


def layered(found: Front, layers: int) -> Front:
    """Those that fewer than `layers` others beat or equal, and perhaps some more."""
    at = unbeaten(found.ms, found.loss, layers)
    return Front(found.ms[at], found.loss[at], found.blocks[at])


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
    """By rising latency, of equals by rising loss, then in turn: numpy's fastest sort leaves the
    order of equals open, so these are sorted once more."""
    order = np.argsort(ms)
    sorted_ms = ms[order]
    equal = np.flatnonzero(sorted_ms[1:] == sorted_ms[:-1])
    if len(equal):
        at = np.union1d(equal, equal + 1)
        some = order[at]
        order[at] = some[np.lexsort((some, loss[some], ms[some]))]
    return order


def stage_fronts(
    facts: StageFacts, tables: StageTables, losses: StageLoss, r: int, layers: int
) -> list[list[Front]]:
    """By width in and width out (positions), the configurations of a stage at resolution `r`."""
    cins, count = range(tables.first_ms.shape[0]), len(facts.widths)
    parts: list[list[list[Front]]] = [[[] for _ in range(count)] for _ in cins]
    for kept in shared_groups(facts):
        for d, depth in enumerate(facts.depths):
            rest = _rest(facts, tables, (r, d, depth), kept, layers)
            for c in cins:
                base = float(tables.base[c, r, d])
                first = [
                    _block(
                        tables.first_ms[c, v, r],
                        tables.first_loss[c, v, r, d, 0],
                        (v, len(facts.combos)),
                        kept,
                    )
                    for v in range(count)
                ]
                for w in range(count):
                    ways = [(first[v], then) for v in range(count) if (then := rest[v][w])]
                    best = _followed(ways, layers)
                    loss = losses.link(best.loss + base)
                    parts[c][w].append(Front(best.ms, loss, _padded(best.blocks, facts.deepest)))
    return [[layered(_stacked(found), layers) for found in row] for row in parts]


def _rest(
    facts: StageFacts, tables: StageTables, at: tuple[int, int, int], kept: Ints, layers: int
) -> list[list[Front | None]]:
    """By the first block's width and the last one's, what follows the first block; None where
    nothing leads from one to the other."""
    r, d, depth = at
    count = len(facts.widths)
    nothing = Front(np.zeros(1), np.zeros(1), np.empty((1, 0), dtype=np.int64))
    rest: list[list[Front | None]] = [
        [nothing if v == w else None for w in range(count)] for v in range(count)
    ]
    for p in range(depth - 1, 0, -1):
        found: list[list[Front | None]] = []
        for v in range(count):
            to = [v] if facts.shared_width else list(range(count))
            step = {
                x: _block(
                    tables.other_ms[v, x, r],
                    tables.other_loss[v, x, r, d, p - 1],
                    (x, len(facts.combos)),
                    kept,
                )
                for x in to
            }
            ways = [[(step[x], then) for x in to if (then := rest[x][w])] for w in range(count)]
            found.append([_followed(w, layers) if w else None for w in ways])
        rest = found
    return rest


def _block(ms: Floats, terms: Floats, at: tuple[int, int], kept: Ints) -> Front:
    """One block of a width (position, of `at[1]` settings each) with the settings `kept`."""
    width, settings = at
    return Front(ms[kept], terms[kept], (width * settings + kept)[:, None])


def _followed(ways: Sequence[tuple[Front, Front]], layers: int) -> Front:
    """What `layered` leaves of every configuration of the first of a way followed by every one of
    the second."""
    ms = np.concatenate([np.add.outer(a.ms, b.ms).ravel() for a, b in ways])
    loss = np.concatenate([np.add.outer(a.loss, b.loss).ravel() for a, b in ways])
    at = unbeaten(ms, loss, layers)
    sizes = np.array([(len(a.ms), len(b.ms)) for a, b in ways])
    starts, first, then = _starts(sizes.prod(axis=1)), _starts(sizes[:, 0]), _starts(sizes[:, 1])
    way = np.searchsorted(starts, at, side="right") - 1
    i, j = np.divmod(at - starts[way], sizes[way, 1])
    blocks = [
        np.concatenate([a.blocks for a, _ in ways])[first[way] + i],
        np.concatenate([b.blocks for _, b in ways])[then[way] + j],
    ]
    return Front(ms[at], loss[at], np.concatenate(blocks, axis=1))


def _starts(counts: Ints) -> Ints:
    return np.cumsum(counts) - counts


def _stacked(parts: Sequence[Front]) -> Front:
    return Front(
        np.concatenate([p.ms for p in parts]),
        np.concatenate([p.loss for p in parts]),
        np.concatenate([p.blocks for p in parts]),
    )


def _padded(blocks: Ints, depth: int) -> Ints:
    padded = np.full((len(blocks), depth), -1, dtype=blocks.dtype)
    padded[:, : blocks.shape[1]] = blocks
    return padded
