"""Least and greatest latency over all subnets of a space on a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.costs import Floats
from spacedsl.passes.extremes import minima
from spacedsl.search.protocols import Coverage, LatencyModel
from spacedsl.targets.latency import known_from


@dataclass(frozen=True, slots=True)
class LatencyRange:
    """Milliseconds, both attained, and the worst coverage of the blocks that subnets can have.
    `missing`: blocks that the table does not cover; then there is no range."""

    least_ms: float | None
    greatest_ms: float | None
    coverage: Coverage
    missing: tuple[Site, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON form; `missing` names the blocks that are not covered, at most 20."""
        return {
            "min_ms": self.least_ms,
            "max_ms": self.greatest_ms,
            "coverage": self.coverage.name.lower(),
            "missing": [str(site) for site in self.missing[:20]],
            "missing_count": len(self.missing),
        }


class _Measure:
    """A latency model as costs of blocks; remembers coverage."""

    def __init__(self, table: LatencyModel) -> None:
        self._table = table
        self.coverage = Coverage.MEASURED
        self.missing: dict[Site, None] = {}

    def __call__(self, sites: Sequence[Site]) -> Floats:
        """Least and greatest ms, (2, sites), the greatest negated; NaN where not covered."""
        sites = list(sites)
        found = self._table.predict(sites)
        ms = np.where(found.coverage == Coverage.UNCOVERED, np.nan, found.ms)
        for i in np.flatnonzero(np.isnan(ms)).tolist():
            self.missing.setdefault(sites[i])
        known = found.coverage[~np.isnan(ms)]
        if known.size:
            self.coverage = max(self.coverage, Coverage(int(known.max())))
        return np.stack([ms, -ms])


def latency_range(item: Space | Subnet, table: LatencyModel) -> LatencyRange:
    """Over all subnets of a space at each of its resolutions, by the same dynamic program as
    `cost_range`; of one network its latency, twice."""
    measure = _Measure(table)
    if isinstance(item, Subnet):
        sums = measure([s for stage in subnet_sites(item) for s in stage]).sum(axis=1)[None]
    else:
        sums = minima(item, item.resolutions, measure).T
    least = sums.min(axis=0)
    if isnan(least[0]):
        return LatencyRange(None, None, Coverage.UNCOVERED, tuple(measure.missing))
    coverage = max(measure.coverage, known_from(table, float(least[0])))
    return LatencyRange(float(least[0]), -float(least[1]), coverage)
