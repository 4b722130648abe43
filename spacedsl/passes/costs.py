"""What many blocks cost: blocks that differ only in their widths are bound together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spacedsl.operators.size import Pair, Size, pair, size_of
from spacedsl.passes.bind import BindError, Site
from spacedsl.passes.cost import bound_cost
from spacedsl.passes.lot import Lot, Mixed, Single, lot
from spacedsl.passes.memory import moments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTITIES = 4
"""FLOPs, parameters, weights and memory."""

FEW = 4
"""Blocks that are bound sooner one by one."""


def costs(sites: Sequence[Site]) -> Floats:
    """Least and greatest FLOPs, parameters, weights and memory in turn, (8, sites), the greatest
    negated. float64 holds them exactly to 2**53. Raises `BindError`."""
    alike: dict[Any, list[int]] = {}
    for i, site in enumerate(sites):
        key = id(site.choice), site.stride, site.settings, site.cout == 0
        alike.setdefault(key, []).append(i)
    found = np.empty((2 * QUANTITIES, len(sites)))
    for places in alike.values():
        some = [sites[i] for i in places]
        found[::2, places] = _costs(some[0], _sizes(some))
    found[1::2] = -found[::2]
    return found


def _sizes(sites: Sequence[Site]) -> Ints:
    """Widths in and out, rows and columns of sites, (N, 4)."""
    return np.array([(s.cin, s.cout, *pair(s.size)) for s in sites], dtype=np.int64)


def _costs(site: Site, sizes: Ints) -> Floats:
    """(quantities, N) of a block with each of these sizes, (N, 4)."""
    found = np.empty((QUANTITIES, len(sizes)))
    if len(sizes) > FEW:
        try:
            for row, amount in zip(found, _amounts(_together(site, sizes)), strict=True):
                row[:] = amount
        except Mixed as mixed:
            for part in (mixed.which, ~mixed.which):
                found[:, part] = _costs(site, sizes[part])
            return found
        except (BindError, Single):  # the error is that of the first block that has one
            pass
        else:
            return found
    for i, (cin, cout, *sides) in enumerate(sizes.tolist()):
        found[:, i] = _amounts(replace(site, cin=cin, cout=cout, size=size_of(*sides)))
    return found


def bound_together(sites: Sequence[Site]) -> Iterator[tuple[Sequence[Site], Site]]:
    """Sites that differ in their widths and sizes only, in groups whose bodies bind alike, each
    with one site that stands for it: it has lots in place of sizes, or is the only one. What
    cannot be bound is left alone, so that binding it again raises its `BindError`."""
    if len(sites) > FEW:
        one = _together(sites[0], _sizes(sites))
        try:
            one.bind()
        except Mixed as mixed:
            for which in (mixed.which, ~mixed.which):
                yield from bound_together([s for s, w in zip(sites, which, strict=True) if w])
            return
        except (BindError, Single):
            pass
        else:
            yield sites, one
            return
    for site in sites:
        yield [site], site


def _together(site: Site, sizes: Ints) -> Site:
    """Blocks as one: binding asks no more of a size than a lot has."""
    cin, cout, height, width = (cast(int, lot(column)) for column in sizes.T)
    size: Size = site.size
    if (sizes[:, 2:] != pair(size)).any():
        square = (sizes[:, 2] == sizes[:, 3]).all()
        size = height if square else Pair(height, width)
    return replace(site, cin=cin, cout=cout if site.cout else 0, size=size)


def _amounts(site: Site) -> list[Any]:
    bound = site.bind()
    cost, memory = bound_cost(bound), [_values(m) for m in moments(site, bound)]
    sums = cost.flops, cost.params, cost.weights
    return [*map(_values, sums), reduce(np.maximum, memory)]


def _values(amount: object) -> Any:
    return amount.values if isinstance(amount, Lot) else amount
