"""Analyses: a measured device's, part by part, and what a latency model can say without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacedsl.analysis.cases import AnalysisPart, cases_of
from spacedsl.analysis.measured import (
    Figure,
    Open,
    Report,
    Row,
    clock_of,
    measure_part,
    opener,
)
from spacedsl.analysis.tastes import Taste, reference_of, table_tastes, tastes
from spacedsl.diagnostics import fault
from spacedsl.hosts.host import HERE, Host
from spacedsl.ir.target import Target
from spacedsl.search.protocols import Coverage, LatencyModel
from spacedsl.targets.deployment import version_on
from spacedsl.targets.device import open_device
from spacedsl.targets.said import need_here

SHARES = {
    AnalysisPart.operators: 0.3,
    AnalysisPart.channels: 0.1,
    AnalysisPart.blocks: 0.3,
    AnalysisPart.models: 0.3,
}
"""Of the time to measure."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """`description`: target, machine, versions, clock and rounds, as JSON. `unanswered`: what was
    not asked of a device that is not here."""

    target: Target
    rows: tuple[Row, ...]
    tastes: tuple[Taste, ...]
    reference: float | None
    description: dict[str, Any]
    unanswered: tuple[AnalysisPart, ...] = ()

    def part(self, part: AnalysisPart) -> list[Row]:
        """The rows of one part."""
        return [row for row in self.rows if row.case.part is part]


def analyse(
    target: Target, parts: Sequence[AnalysisPart], seconds: float, report: Report, host: Host = HERE
) -> Analysis:
    """Measure a target on `host`, or ask another's latency model. Raises `SpaceError`, also where
    only parts are asked for that such a model cannot answer."""
    if not target.measured:
        return _asked(target, parts)
    if host is HERE:
        need_here(target)
    return _measured(target, parts, seconds, report, opener(target, host), host)


def _measured(
    target: Target,
    parts: Sequence[AnalysisPart],
    seconds: float,
    report: Report,
    opened: Open,
    host: Host,
) -> Analysis:
    version = version_on(host, target)
    clock, whole = clock_of(target), sum(SHARES[part] for part in parts)
    rows: list[Row] = []
    rounds: dict[str, int] = {}
    for part in parts:
        share = seconds * SHARES[part] / whole
        found = measure_part(cases_of(part), opened, host.rounds(clock), share, report)
        rows += found.rows
        rounds[part.value] = found.rounds
    description = {
        **_named(target),
        "version": version,
        "threads": target.threads,
        "clock": clock,
        "rounds": rounds,
        "machine": host.machine.to_json(),
    }
    return Analysis(target, tuple(rows), tastes(rows), reference_of(rows), description)


def _asked(target: Target, parts: Sequence[AnalysisPart]) -> Analysis:
    """Block types by a latency model, which knows neither FP32 nor operators by themselves."""
    if AnalysisPart.blocks not in parts:
        message = f"target `{target.name}` is not this machine: only its block types are known"
        help = f"`--part {AnalysisPart.blocks.value}`, or a target with `latency profile`"
        raise fault("wrong-kind", message, help)
    rows = _predicted(open_device(target).latency)
    if not rows:
        raise fault("uncovered", f"target `{target.name}` covers none of the block types")
    unanswered = tuple(part for part in parts if part is not AnalysisPart.blocks)
    return Analysis(target, rows, table_tastes(rows), None, _named(target), unanswered)


def _predicted(latency: LatencyModel) -> tuple[Row, ...]:
    cases = cases_of(AnalysisPart.blocks)
    found = latency.predict([case.site for case in cases])
    return tuple(
        Row(case, Figure(float(ms)), None, None, "table", Coverage(int(coverage)).name.lower())
        for case, ms, coverage in zip(cases, found.ms, found.coverage, strict=True)
        if coverage < Coverage.UNCOVERED
    )


def _named(target: Target) -> dict[str, Any]:
    return {"target": target.name, "device": target.device, "runtime": target.runtime}
