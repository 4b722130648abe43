"""Latency of one model on a target, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isnan
from typing import Any

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import subnet_sites
from spacedsl.search.protocols import Coverage, LatencyModel


@dataclass(frozen=True, slots=True)
class StageLatency:
    """One stage: milliseconds and the worst coverage of its blocks."""

    stage: str
    ms: float
    coverage: Coverage


NAMED = 5
"""Blocks that an error names."""


def not_covered(name: str, blocks: Sequence[str], help: str) -> SpaceError:
    """The error of an item with blocks whose latency is not known."""
    kinds = list(dict.fromkeys(blocks))
    listed = "; ".join(kinds[:NAMED]) + (f"; {len(kinds) - NAMED} others" * (len(kinds) > NAMED))
    are = "block of {} is" if len(blocks) == 1 else "blocks of {} are"
    message = f"{len(blocks):,} {are.format(name)} not covered: {listed}"
    return fault("uncovered", message, help)


def model_latency(subnet: Subnet, table: LatencyModel) -> tuple[StageLatency, ...]:
    """Predicted INT8 latency per stage, in milliseconds. Raises `SpaceError` that lists the
    blocks that `table` does not cover."""
    sites = subnet_sites(subnet)
    flat = [site for stage in sites for site in stage]
    prediction = table.predict(flat)
    uncovered = [
        str(site)
        for site, ms, coverage in zip(flat, prediction.ms, prediction.coverage, strict=True)
        if coverage == Coverage.UNCOVERED or isnan(ms)
    ]
    if uncovered:
        raise not_covered(subnet.name, uncovered, "fit or measure them, or choose another target")
    least = known_from(table, fsum(prediction.ms.tolist()))
    parts: list[StageLatency] = []
    start = 0
    for stage, declared in zip(sites, subnet.of.stages, strict=True):
        end = start + len(stage)
        coverage = max(Coverage(int(prediction.coverage[start:end].max())), least)
        ms = fsum(float(ms) for ms in prediction.ms[start:end])
        parts.append(StageLatency(declared.name, ms, coverage))
        start = end
    return tuple(parts)


def whole(parts: Sequence[StageLatency]) -> tuple[float, str]:
    """The milliseconds of all stages, and the worst coverage of one, as a word."""
    return fsum(part.ms for part in parts), max(part.coverage for part in parts).name.lower()


def known_from(table: LatencyModel, ms: float) -> Coverage:
    """The best coverage that a network of `ms` milliseconds can have: one that is faster than all
    that was measured is extrapolated, whatever it is made of."""
    return Coverage.ESTIMATED if ms < table.fastest_ms else Coverage.MEASURED


def latency_json(parts: tuple[StageLatency, ...], target: str) -> dict[str, Any]:
    """JSON form: total, parts, and the share of the total by coverage."""
    total = fsum(p.ms for p in parts)
    shares = {
        level.name.lower(): fsum(p.ms for p in parts if p.coverage == level) / total
        for level in Coverage
        if level != Coverage.UNCOVERED
    }
    listed = [{"stage": p.stage, "ms": p.ms, "coverage": p.coverage.name.lower()} for p in parts]
    return {"target": target, "total_ms": total, "parts": listed, "coverage": shares}
