"""The networks of the least loss under latency limits, of many spaces at once, exactly.

Every network is a path: one configuration per part, whose widths fit. For a space, a resolution and
a limit (an item), `loss + m ms - m limit` with the best multiplier m bounds what a path can lose,
and also what it can lose if it goes through a given configuration. So all paths are followed whose
bound is at most a little above that of the item: if they hold as many networks under the limit as
are asked for, and these lose no more than that, no other network is better; if not, the little
grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.best.remaining import Ends
from spacedsl.search.best.shelf import Column
from spacedsl.search.best.steps import ROUNDING
from spacedsl.search.protocols import Floats, Ints

PATHS = 1 << 22
"""Paths that are followed at a time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of N spaces before any path is followed: `lower` (N, T, R), no network under a
    limit loses less; inf where there is none. `chosen` (N, T, R): the multiplier of the bound.
    `before`, `after`: per part, and after the last, the least sums of the parts before it and from
    it on, (N, R, C, M); `after_ms`: the least latency from it on, (N, R, C)."""

    lower: Floats
    chosen: Ints
    before: list[Floats]
    after: list[Floats]
    after_ms: list[Floats]


def bounds(
    columns: Sequence[Column], first_ms: Floats, limits_ms: Floats, multipliers: Floats
) -> Bounds:
    """By Lagrange's relaxation; `first_ms` (R,): the latency before the first part."""
    n, r = len(columns[0].number), columns[0].least.shape[1]
    after = [np.zeros((n, r, 1, len(multipliers)))]
    after_ms = [np.zeros((n, r, 1))]
    least = [np.moveaxis(part.least[part.number], 1, 2) for part in columns]  # (N, R, C, W, M)
    for part, own in zip(reversed(columns), reversed(least), strict=True):
        after.append((own + after[-1][:, :, None]).min(axis=3))
        own_ms = np.moveaxis(part.least_ms[part.number], 1, 2)
        after_ms.append((own_ms + after_ms[-1][:, :, None]).min(axis=3))
    after.reverse()
    after_ms.reverse()
    start = first_ms[:, None] * multipliers
    before = [np.broadcast_to(start[:, None], (n, r, 1, len(multipliers)))]
    for own in least[:-1]:
        before.append((before[-1][:, :, :, None] + own).min(axis=2))
    total = after[0][:, :, 0] + start  # (N, R, M)
    sums = total[:, None] - (limits_ms[:, None] * multipliers)[:, None]  # (N, T, R, M)
    chosen = sums.argmax(axis=3)
    lower = np.take_along_axis(sums, chosen[..., None], axis=3)[..., 0]
    fastest = (after_ms[0][:, None, :, 0] + first_ms) * (1 - ROUNDING)
    lower = np.where(fastest <= limits_ms[:, None], lower, np.inf)
    return Bounds(lower, chosen, before, after, after_ms)


@dataclass(frozen=True, slots=True)
class Items:
    """I questions: of which space, limit and resolution (positions), and how far above its bound
    a path's may be."""

    space: Ints
    limit: Ints
    r: Ints
    window: Floats

    def __len__(self) -> int:
        return len(self.space)

    def __getitem__(self, some: NDArray[np.bool_] | Ints | slice) -> Items:
        return Items(self.space[some], self.limit[some], self.r[some], self.window[some])


@dataclass(frozen=True, slots=True)
class Paths:
    """P networks under the limits of some items: `item`, `ms`, `loss`, (P,) each, and `trail`, (P,
    parts, 2): of every part the width that comes in and the configuration. `whole`: of which items
    there are no others, (I,)."""

    items: Items
    item: Ints
    ms: Floats
    loss: Floats
    trail: Ints
    whole: NDArray[np.bool_]


class Query:
    """Paths of some spaces. `near`: within which window what the columns have of configurations
    near the least sum is all that is needed. `ends`: how paths can end, where several best networks
    are asked for and parts are single stages; else the last part of a path is the best that still
    keeps the limit."""

    def __init__(
        self,
        columns: Sequence[Column],
        near: float,
        first_ms: Floats,
        limits_ms: Floats,
        multipliers: Floats,
        ends: Ends | None,
    ) -> None:
        self.columns, self.near = columns, near
        self.first_ms, self.limits_ms, self.multipliers = first_ms, limits_ms, multipliers
        self.ends = ends
        self.bounds = bounds(self.columns, first_ms, limits_ms, multipliers)
        if ends is not None:
            self._raise_bounds(ends)

    def _raise_bounds(self, ends: Ends) -> None:
        """Raise every bound to the least loss of what can follow from the first stage on, where
        that is greater: no network loses less than either."""
        lower = self.bounds.lower
        space, limit, r = (place.ravel() for place in np.indices(lower.shape))
        left = self.limits_ms[limit] - self.first_ms[r]
        least = ends.loss(0, (space, r, np.zeros_like(r)), left)
        np.maximum(lower, least.reshape(lower.shape), out=lower)

    def paths(self, items: Items) -> list[Paths]:
        """Every path of every item within its window, in several lots where they are many."""
        try:
            return [self._paths(items)]
        except _Many:
            half = len(items) // 2
            return [*self.paths(items[:half]), *self.paths(items[half:])]

    def _paths(self, items: Items) -> Paths:
        known, limit_ms = self.bounds, self.limits_ms[items.limit]
        m = known.chosen[items.space, items.limit, items.r]
        price = self.multipliers[m]
        most = known.lower[items.space, items.limit, items.r] + items.window + price * limit_ms
        state = _State(
            at=np.arange(len(items)),
            width=np.zeros(len(items), dtype=np.int64),
            ms=self.first_ms[items.r],
            loss=np.zeros(len(items)),
            trail=np.empty((len(items), 0, 2), dtype=np.int64),
        )
        near = bool((items.window <= self.near).all())
        search = _Search(items, limit_ms, m, price, most, near, np.ones(len(items), dtype=bool))
        last = len(self.columns) - 1
        for i, part in enumerate(self.columns):
            if self.ends is None and i == last:
                state = search.ended(part, state)
            else:
                state = self._extended(i, search, state)
        fast = np.flatnonzero(state.ms <= limit_ms[state.at])
        found = (state.at[fast], state.ms[fast], state.loss[fast], state.trail[fast])
        return Paths(items, *found, search.whole)

    def _extended(self, i: int, search: _Search, state: _State) -> _State:
        """Paths that go on by a configuration of part i; marks items that are not whole."""
        known, part, items, most = self.bounds, self.columns[i], search.items, search.most
        wide, outs = part.number.shape[1], part.least.shape[2]
        # of each item, width in and width out: configurations that a good path may go through
        cells, where = np.unique(state.at * wide + state.width, return_inverse=True)
        item, cin = np.divmod(np.repeat(cells, outs), wide)
        out = np.tile(np.arange(outs), len(cells))
        space, r, m = items.space[item], items.r[item], search.multiplier[item]
        best = known.before[i][space, r, cin, m]
        rest = known.after[i + 1][space, r, out, m]
        number, cell = part.number[space, cin], r * outs + out
        good = best + part.least[number, r, out, m] + rest <= most[item]
        start, stop = part.begin[number, cell], part.begin[number, cell + 1]
        if search.near:
            first, last = part.near_begin[number, m, cell], part.near_begin[number, m, cell + 1]
            search.whole[item[~good | (last - first < stop - start)]] = False
            group, at = _ranges(first, np.where(good, last, first))
            point = part.near[at]
        else:
            search.whole[item[~good]] = False
            group, point = _ranges(start, np.where(good, stop, start))
        reduced = part.loss[point] + search.price[item][group] * part.ms[point] + rest[group]
        good = reduced <= (most[item] - best)[group]
        search.whole[item[group[~good]]] = False
        group, point, reduced = group[good], point[good], reduced[good]
        later_ms = part.ms[point] + known.after_ms[i + 1][space, r, out][group]
        which, out = group // outs, out[group]
        # every path goes on by each of them
        first = np.searchsorted(which, np.arange(len(cells) + 1))
        start, stop = first[where], first[where + 1]
        if int((stop - start).sum()) > PATHS and len(items) > 1:
            raise _Many
        path, chosen = _ranges(start, stop)
        owner, ms = state.at[path], state.ms[path]
        good = state.loss[path] + search.price[owner] * ms + reduced[chosen] <= most[owner]
        search.whole[owner[~good]] = False
        good &= ms + later_ms[chosen] <= search.limit_ms[owner] * (1 + ROUNDING)
        path, point, out = path[good], point[chosen[good]], out[chosen[good]]
        if self.ends is not None:
            ms, loss = state.ms[path] + part.ms[point], state.loss[path] + part.loss[point]
            good = search.ending(i + 1, self.ends, (state.at[path], out, ms, loss))
            path, point, out = path[good], point[good], out[good]
        return state.then(part, path, point, out)

    def way(self, i: int, point: int) -> int:
        """How the configuration of a part is numbered in `Part.way`."""
        return int(self.columns[i].way[point])


@dataclass(frozen=True, slots=True)
class _State:
    """The beginnings of paths: item, width that goes out, latency, loss, (P,) each, and trail."""

    at: Ints
    width: Ints
    ms: Floats
    loss: Floats
    trail: Ints

    def then(self, part: Column, path: Ints, point: Ints, out: Ints) -> _State:
        """Some paths, each with one configuration more."""
        step = np.stack([self.width[path], point], axis=1)
        trail = np.concatenate([self.trail[path], step[:, None]], axis=1)
        ms, loss = self.ms[path] + part.ms[point], self.loss[path] + part.loss[point]
        return _State(self.at[path], out, ms, loss, trail)


@dataclass(frozen=True, slots=True)
class _Search:
    """Of each item: limit in ms, multiplier and its price, how much `loss + price ms` may be;
    `near`: whether configurations near the least sums are all that is needed for that; and `whole`:
    of which items no path was left out because of that."""

    items: Items
    limit_ms: Floats
    multiplier: Ints
    price: Floats
    most: Floats
    near: bool
    whole: NDArray[np.bool_]

    def ending(
        self, i: int, ends: Ends, paths: tuple[Ints, Ints, Floats, Floats]
    ) -> NDArray[np.bool_]:
        """Which paths can end well enough. They are before part i, and given by item, width in,
        latency and loss. Items that lose a path are marked as not whole."""
        owner, width, ms, loss = paths
        limit_ms = self.limit_ms[owner]
        at = self.items.space[owner], self.items.r[owner], width
        least = loss + ends.loss(i, at, limit_ms - ms)
        good = least <= self.most[owner] - self.price[owner] * limit_ms
        self.whole[owner[~good & np.isfinite(least)]] = False
        return good

    def ended(self, part: Column, state: _State) -> _State:
        """Every path with the slowest configuration of the last part that keeps the limit, which is
        the best one."""
        none = np.zeros_like(state.at)
        number = part.number[self.items.space[state.at], state.width]
        cell = self.items.r[state.at]
        low, high = part.begin[number, cell] - 1, part.begin[number, cell + 1] - 1
        first, limit_ms = low.copy(), self.limit_ms[state.at]
        while (low < high).any():
            middle = (low + high + 1) // 2
            fast = state.ms + part.ms[middle] <= limit_ms
            low, high = np.where(fast, middle, low), np.where(fast, high, middle - 1)
        path = np.flatnonzero(low > first)
        return state.then(part, path, low[path], none[path])


class _Many(Exception):
    """More paths than are followed at a time."""


def _ranges(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """For ranges in turn: of each of their numbers, which range it is of, and the number."""
    count = np.maximum(stop - start, 0)
    which = np.repeat(np.arange(len(start)), count)
    ends = np.cumsum(count)
    return which, np.arange(len(which)) - (ends - count)[which] + start[which]
