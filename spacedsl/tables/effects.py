"""From a rough latency per unit to a close one: multiplicative effects, then the rows exactly.

A *unit* is what a table measures: a block, or a kernel. Its latency is modelled as
`prior * (1 + sum of effects)`, one effect per value of each of several groups of the unit's fields
(type, stride, size, channels, settings) and one of its own. All effects are shrunk to 0, so a unit
in no row gets the prior as its neighbours correct it; a second least squares then gives measured
units what the rows say, moving the undetermined ones as little as possible."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spacedsl.operators.size import Size
from spacedsl.tables.solve import Floats, Ints, conjugate_gradients, sum_at


class Unit(NamedTuple):
    """What is measured as one: `family` is a block identity or a kernel kind, `settings` its
    parameters as numbers, `size` the input height in pixels."""

    family: str
    settings: tuple[float, ...]
    stride: Size
    size: Size
    cin: int
    cout: int


class System(Protocol):
    """Rows as sums over units."""

    @property
    def units(self) -> tuple[Unit, ...]: ...

    def totals(self, values: Floats) -> Floats:
        """(units,) -> (rows,)."""

    def spread(self, values: Floats) -> Floats:
        """(rows,) -> (units,), the transpose of `totals`."""


def _groups(unit: Unit) -> tuple[tuple[Hashable, ...], ...]:
    family, settings, stride, size, cin, cout = unit
    head = (family, stride)
    first = settings[:1]
    return (
        head,
        (*head, "size", size),
        (*head, "set", settings),
        (*head, "set size", settings, size),
        (*head, "in", size, cin),
        (*head, "out", size, cout),
        (*head, "in out", size, cin, cout),
        (*head, "in set", size, cin, settings),
        (*head, "out set", size, cout, settings),
        (*head, "in out set", cin, cout, settings),
        (*head, "in first", size, cin, first),
        (*head, "out first", size, cout, first),
    )


SPREADS = (0.15, 0.1, 0.1, 0.05, 0.05, 0.05, 0.015, 0.025, 0.025, 0.025, 0.025, 0.025)
"""Prior standard deviation of the effects of each group, in the order of `_groups`."""

OWN_SPREAD = 0.2
ROW_NOISE = 0.03
OUTLIER_SCALE = 0.03
ROUNDS = 3
ITERATIONS = 200
POSITIVE_ROUNDS = 8
LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class _Design:
    index: Ints  # (units, groups), the unit's own effect last
    spread: Floats  # (effects,)

    def apply(self, effects: Floats, *, own: bool = True) -> Floats:
        """Sum of the effects of each unit, (units,)."""
        index = self.index if own else self.index[:, :-1]
        total: Floats = effects[index].sum(axis=1)
        return total


def _design(units: Sequence[Unit]) -> _Design:
    columns: list[list[int]] = []
    spread: list[float] = []
    grouped = [_groups(unit) for unit in units]
    for g, deviation in enumerate(SPREADS):
        known: dict[Hashable, int] = {}
        start = len(spread)
        columns.append([start + known.setdefault(groups[g], len(known)) for groups in grouped])
        spread += [deviation] * len(known)
    columns.append([len(spread) + i for i in range(len(units))])
    spread += [OWN_SPREAD] * len(units)
    return _Design(np.array(columns, np.int64).T.copy(), np.array(spread))


def smooth(system: System, prior: Floats, target: Floats) -> Floats:
    """Latency of every unit, those in no row included, (units,). `prior` (units,) and `target`
    (rows,) in milliseconds. Rows that the shared effects do not explain count less."""
    design = _design(system.units)
    residual = target - system.totals(prior)
    weight = 1.0 / target / ROW_NOISE
    effects = np.zeros(len(design.spread))
    for round_ in range(ROUNDS):
        if round_:
            common = prior * (1.0 + design.apply(effects, own=False))
            predicted = np.maximum(system.totals(common), 1e-3 * target)
            error = np.log(predicted / target) / OUTLIER_SCALE
            weight = 1.0 / target / ROW_NOISE / np.sqrt(1.0 + error**2)
        effects = design.spread * _solve(system, design, prior, weight, residual)
    return prior * (1.0 + design.apply(effects))


def _solve(
    system: System, design: _Design, prior: Floats, weight: Floats, residual: Floats
) -> Floats:
    groups, count = design.index.shape[1], len(design.spread)

    def forward(x: Floats) -> Floats:
        return weight * system.totals(prior * design.apply(design.spread * x))

    def backward(rows: Floats) -> Floats:
        units = prior * system.spread(weight * rows)
        return design.spread * sum_at(design.index.ravel(), np.repeat(units, groups), count)

    return conjugate_gradients(
        forward, backward, weight * residual, count, iterations=ITERATIONS, damping=1.0
    )


def exact(
    system: System,
    start: Floats,
    target: Floats,
    *,
    iterations: int = 400,
    free: NDArray[np.bool_] | None = None,
) -> Floats:
    """The solution of "sum of units = row" nearest to `start`, by relative error, (units,). Only
    units that are `free` move."""
    weight = 1.0 / target
    density = system.spread(weight**2)
    movable = density > 0 if free is None else (density > 0) & free
    scale = np.where(movable, 1.0 / np.sqrt(np.maximum(density, 1e-12)), 0.0)
    step = conjugate_gradients(
        lambda x: weight * system.totals(scale * x),
        lambda rows: scale * system.spread(weight * rows),
        weight * (target - system.totals(start)),
        len(start),
        iterations=iterations,
    )
    return start + scale * step


def exact_positive(system: System, start: Floats, target: Floats) -> Floats:
    """`exact`, with every unit at least `LEAST_SHARE` of `start`, all of which is positive: those
    that fall below stay there and the others make up for them."""
    floor = LEAST_SHARE * start
    free = np.ones(len(start), dtype=bool)
    values = exact(system, start, target)
    for _ in range(POSITIVE_ROUNDS):
        below = values < floor
        if not below.any():
            break
        free &= ~below
        values = exact(system, np.maximum(values, floor), target, iterations=100, free=free)
    return np.maximum(values, floor)
