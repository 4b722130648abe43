"""What many blocks cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.passes.bind import Site
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import bound_cost, trained_weights
from spacedsl.passes.lot import Lot
from spacedsl.passes.memory import moments
from spacedsl.passes.together import together

Floats = NDArray[np.float64]

QUANTITIES = 4
"""FLOPs, parameters, weights and memory."""


def costs(sites: Sequence[Site]) -> Floats:
    """Least and greatest FLOPs, parameters, weights and memory in turn, (8, sites), the greatest
    negated. float64 holds them exactly to 2**53. Raises `BindError`."""
    found = np.empty((2 * QUANTITIES, len(sites)))
    for places, amounts in together(sites, _amounts):
        for row, amount in zip(found[::2], amounts, strict=True):
            row[places] = amount
    found[1::2] = -found[::2]
    return found


def trained(sites: Sequence[Site]) -> Floats:
    """Least and greatest weights in training, (2, sites), the greatest negated."""
    found = np.empty((2, len(sites)))
    for places, amount in together(sites, _trained):
        found[0, places] = amount
    found[1] = -found[0]
    return found


def _trained(site: Site) -> Any:
    return _values(sum(map(trained_weights, layers(site.bind()))))


def _amounts(site: Site) -> list[Any]:
    bound = site.bind()
    cost, memory = bound_cost(bound), [_values(m) for m in moments(site, bound)]
    sums = cost.flops, cost.params, cost.weights
    return [*map(_values, sums), reduce(np.maximum, memory)]


def _values(amount: object) -> Any:
    return amount.values if isinstance(amount, Lot) else amount
