"""The figures of a part, measured: INT8 and FP32 networks interleaved, in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, hypot, log
from typing import Literal

import numpy as np

from spacedsl.analysis.cases import AnalysisPart, Case
from spacedsl.compiler.export import FILES, seeded
from spacedsl.diagnostics import fault
from spacedsl.hosts.host import Host
from spacedsl.hosts.measure import Estimate, Run, Take, Timing, Visit, estimate, interleave
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.passes.network import subnet_identity
from spacedsl.runtimes.table import runtime_of
from spacedsl.search.protocols import Floats
from spacedsl.targets.deployment import artifact_of

VISIT = Visit(warm=1, timed=3)
LEAST_ROUNDS = 10
TOLERANCE = 0.1
"""A speed-up is noisy where half of its 95 % interval is more than this much of it."""

FREE, SURELY = 0.02, 0.005
"""What surely takes less than the first share of the network around it, and maybe less than the
second, takes nothing that could be told."""

Status = Literal["known", "noisy", "free", "int8-free", "fp32-free", "table"]
"""Is the speed-up known, not well enough, or meaningless because neither, the INT8 or the FP32 form
takes time? `table`: the INT8 time is a latency model's."""

Pair = tuple[Run, Run]
Open = Callable[[Subnet], Pair]
"""A model's INT8 and FP32 runs."""

Report = Callable[[AnalysisPart, float], None]
"""Takes a part and the share of its work that is done."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval; a latency model's has none."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, found: Estimate) -> Figure:
        """Of a measured one."""
        return cls(found.median, found.low, found.high)


@dataclass(frozen=True, slots=True)
class Row:
    """A case with its times in ms, how many times as fast INT8 is as FP32 (None where that means
    nothing), and how far to trust it. `coverage`: a latency model's."""

    case: Case
    int8_ms: Figure
    fp32_ms: Figure | None
    speedup: Figure | None
    status: Status
    coverage: str = ""

    @property
    def mmacs_per_ms(self) -> float:
        """Millions of multiply-accumulates per millisecond in INT8, 0 where there are none."""
        return self.case.mmacs / self.int8_ms.value if self.int8_ms.value > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of a part and the rounds that they were measured in."""

    rows: tuple[Row, ...]
    rounds: int


def opener(target: Target, host: Host) -> Open:
    """Opens models on `host` for the runtime of `target`: INT8 as it is deployed there, FP32 for
    the same runtime. Raises `SpaceError`."""
    runtime = runtime_of(target)
    files = FILES[runtime.format]
    files.need()

    def opened(subnet: Subnet) -> Pair:
        int8, fp32 = artifact_of(subnet, target), files.fp32(seeded(subnet, 0))
        return (
            host.open(runtime, int8, target.threads),
            host.open(runtime, fp32, target.threads),
        )

    return opened


def clock_of(target: Target) -> str:
    """The name of the measurer's clock: with one thread, that thread's processor time."""
    return "cpu" if target.threads == 1 else "wall"


def measure_part(
    cases: Sequence[Case],
    opened: Open,
    take: Take,
    seconds: float,
    report: Report,
) -> Measured:
    """Measure `cases`, all of one part, until every speed-up is known, or for about `seconds`;
    `take` times a round."""
    if not cases:
        raise fault("bad-option", "there is nothing to measure")
    part = cases[0].part
    networks: dict[str, Subnet] = {}

    def place(subnet: Subnet) -> int:
        """The first of the two runs of a network, each of which is measured once."""
        identity = subnet_identity(subnet)
        networks.setdefault(identity, subnet)
        return 2 * list(networks).index(identity)

    places = [(place(c.subnet), place(c.base) if c.base else None) for c in cases]
    runs: list[Run] = []
    for i, subnet in enumerate(networks.values()):
        runs += opened(subnet)
        report(part, (i + 1) / len(networks) / 2)

    def rows(timing: Timing) -> tuple[Row, ...]:
        ms = timing.without_common_mode().times_s * 1e3
        return tuple(_row(case, ms, *at) for case, at in zip(cases, places, strict=True))

    def enough(timing: Timing) -> bool:
        known = [row.status != "noisy" for row in rows(timing)]
        report(part, 0.5 + sum(known) / len(known) / 2)
        return all(known)

    timing = interleave(runs, seconds, take=take, visit=VISIT, enough=enough, least=LEAST_ROUNDS)
    report(part, 1.0)
    return Measured(rows(timing), len(timing.times_s))


def _row(case: Case, ms: Floats, own: int, base: int | None) -> Row:
    """From the times of all runs in ms, (rounds, runs); INT8 and FP32 of a network stand side by
    side, those of the case's own at `own`."""
    if base is None:
        int8, fp32 = ms[:, own], ms[:, own + 1]
        ratio = estimate(fp32 / int8)
        status: Status = "known" if ratio.halfwidth <= TOLERANCE else "noisy"
        figures = [Figure.of(f) for f in (estimate(int8), estimate(fp32), ratio)]
        return Row(case, figures[0], figures[1], figures[2], status)
    both = [estimate((ms[:, own + i] - ms[:, base + i]) / case.count) for i in (0, 1)]
    around = [float(np.median(ms[:, base + i])) / case.count for i in (0, 1)]
    free = [_free(cost, whole) for cost, whole in zip(both, around, strict=True)]
    int8_ms, fp32_ms = (Figure.of(cost) for cost in both)
    if any(free):
        none: Status = "free" if all(free) else "int8-free" if free[0] else "fp32-free"
        return Row(case, int8_ms, fp32_ms, None, none)
    if min(cost.low for cost in both) <= 0:
        return Row(case, int8_ms, fp32_ms, None, "noisy")
    found = speedup_of(both[0], both[1])
    spread = (log(found[2]) - log(found[1])) / 2
    return Row(case, int8_ms, fp32_ms, Figure(*found), "known" if spread <= TOLERANCE else "noisy")


def _free(cost: Estimate, around: float) -> bool:
    return cost.high < FREE * around and cost.low <= SURELY * around


def speedup_of(int8: Estimate, fp32: Estimate) -> tuple[float, float, float]:
    """FP32 over INT8, with the 95 % interval that follows from theirs, which are above 0; the two
    are differences, whose ratio in single rounds says little."""
    ratio = fp32.median / int8.median
    reach = hypot(*((log(cost.high) - log(cost.low)) / 2 for cost in (int8, fp32)))
    return ratio, ratio * exp(-reach), ratio * exp(reach)
