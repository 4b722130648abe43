"""Measured units as a lookup, and interpolation between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from math import log
from typing import TypeVar

from spacedsl.operators.size import Size, area
from spacedsl.search.protocols import Coverage
from spacedsl.tables.effects import Unit

Group = tuple[str, tuple[float, ...], Size]
S = TypeVar("S", int, Size)
PriorOf = Callable[[Unit], float]


def bracket(values: Sequence[S], value: S) -> tuple[S, S] | None:
    """The neighbours of `value` in ascending `values`, itself twice where it is one of them."""
    at = bisect_left(values, value)
    if at < len(values) and values[at] == value:
        return value, value
    return None if at in (0, len(values)) else (values[at - 1], values[at])


def share(low: float, high: float, value: float) -> float:
    """How far `value` is from `low` (0) to `high` (1)."""
    return 0.0 if low == high else (value - low) / (high - low)


class Panels:
    """Latencies in milliseconds by unit. Between measured widths and sizes the ratio to the prior
    is interpolated: linearly in log channels, and in pixels (size squared)."""

    def __init__(self, entries: Iterable[tuple[Unit, float, Coverage]]) -> None:
        self.known: dict[Unit, tuple[float, Coverage]] = {}
        self.families: set[str] = set()
        axes: dict[tuple[Group, Size], tuple[set[int], set[int]]] = {}
        sizes: dict[Group, set[Size]] = {}
        for unit, ms, coverage in entries:
            group: Group = (unit.family, unit.settings, unit.stride)
            self.known[unit] = (ms, coverage)
            self.families.add(unit.family)
            sizes.setdefault(group, set()).add(unit.size)
            cins, couts = axes.setdefault((group, unit.size), (set(), set()))
            cins.add(unit.cin)
            couts.add(unit.cout)
        self._sizes = {group: sorted(values) for group, values in sizes.items()}
        self._axes = {key: (sorted(cins), sorted(couts)) for key, (cins, couts) in axes.items()}

    def interpolate(self, unit: Unit, prior: PriorOf) -> float | None:
        """Milliseconds of a unit between measured ones, None where it is not between any."""
        group: Group = (unit.family, unit.settings, unit.stride)
        around = bracket(self._sizes.get(group, ()), unit.size)
        if around is None:
            return None
        ratios = [self._ratio(group, unit._replace(size=size), prior) for size in around]
        if ratios[0] is None or ratios[1] is None:
            return None
        far = share(area(around[0]), area(around[1]), area(unit.size))
        return (ratios[0] + far * (ratios[1] - ratios[0])) * prior(unit)

    def _ratio(self, group: Group, unit: Unit, prior: PriorOf) -> float | None:
        cins, couts = self._axes[group, unit.size]
        ins, outs = bracket(cins, unit.cin), bracket(couts, unit.cout)
        if ins is None or outs is None:
            return None
        corners: list[float] = []
        for cin in ins:
            for cout in outs:
                corner = unit._replace(cin=cin, cout=cout)
                if corner not in self.known:
                    return None
                corners.append(self.known[corner][0] / prior(corner))
        x = share(log(ins[0]), log(ins[1]), log(unit.cin))
        y = share(log(outs[0]), log(outs[1]), log(unit.cout)) if unit.cout else 0.0
        near = corners[0] + y * (corners[1] - corners[0])
        far = corners[2] + y * (corners[3] - corners[2])
        return near + x * (far - near)
