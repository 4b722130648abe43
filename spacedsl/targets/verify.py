"""How well a latency model predicts networks it has not seen, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.hosts.host import HERE, Host
from spacedsl.hosts.measure import Run, Timing, Visit, interleave
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.passes.bind import subnet_sites
from spacedsl.runtimes.table import runtime_of
from spacedsl.search.protocols import Coverage, Floats, LatencyModel
from spacedsl.tables.statistics import kendall_tau
from spacedsl.targets.deployment import artifact_of, version_on
from spacedsl.targets.latency import known_from

REPEATABLE = 0.03
QUANTILES = (0.5, 0.9, 0.95, 1.0)
WORST = 5
LEAST_ROUNDS = 10
VISIT = Visit(warm=2, timed=4)


@dataclass(frozen=True, slots=True)
class Checked:
    """One network. `measured_ms` with its 95 % interval, what rounds had in common taken out;
    `split_half`: relative difference between the halves of the rounds, which are of different
    sessions; `error`: prediction over
    measurement minus one, after the common factor; NaN where the model does not cover it."""

    name: str
    space: str
    predicted_ms: float
    measured_ms: float
    low_ms: float
    high_ms: float
    split_half: float
    error: float
    coverage: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All networks; `factor`: measurement over prediction, in the median; `rounds` in which they
    were measured."""

    checked: tuple[Checked, ...]
    factor: float
    rounds: int
    clock: str

    @property
    def errors(self) -> Floats:
        """Absolute errors of the networks that the model covers."""
        found = np.abs([c.error for c in self.checked])
        return np.asarray(found[np.isfinite(found)])

    @property
    def tau(self) -> float:
        """Kendall's rank correlation of predictions and measurements."""
        pairs = [(c.predicted_ms, c.measured_ms) for c in self.checked if np.isfinite(c.error)]
        return kendall_tau(*np.array(pairs).T) if len(pairs) > 1 else nan

    def within(self, error: float) -> int:
        """Networks predicted within `error`; one that is not covered is not."""
        return int((self.errors <= error).sum())

    @property
    def repeatable(self) -> int:
        """Networks whose two halves agree."""
        return sum(c.split_half <= REPEATABLE for c in self.checked)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        halves = [c.split_half for c in self.checked]
        worst = sorted(self.checked, key=lambda c: -abs(np.nan_to_num(c.error, nan=np.inf)))
        return {
            "networks": len(self.checked),
            "rounds": self.rounds,
            "clock": self.clock,
            "repeatability": {
                "median": float(np.median(halves)),
                "greatest": max(halves),
                "within_3_percent": self.repeatable,
            },
            "factor": None if isnan(self.factor) else self.factor,
            "quantiles": {
                f"{q:g}": float(np.quantile(self.errors, q)) if len(self.errors) else None
                for q in QUANTILES
            },
            "within_5_percent": self.within(0.05),
            "within_10_percent": self.within(0.10),
            "uncovered": sum(c.coverage == "uncovered" for c in self.checked),
            "tau": None if isnan(self.tau) else self.tau,
            "worst": [c.name for c in worst[:WORST]],
            "models": [_plain(c) for c in self.checked],
        }


def _plain(checked: Checked) -> dict[str, Any]:
    """Its fields; what is not a number is null."""
    fields = asdict(checked)
    return {k: None if isinstance(v, float) and isnan(v) else v for k, v in fields.items()}


def verify(
    target: Target,
    latency: LatencyModel,
    models: Sequence[Subnet],
    seconds: float,
    clock: str,
    progress: Callable[[float, str], None] = lambda share, note: None,
    host: Host = HERE,
) -> Verification:
    """Measure `models` on `host` until the two halves of each agree within 3 % (or for about
    `seconds`), and compare. Every second round is of new sessions: those of one file differ for as
    long as they live. `progress` takes the share of models that are known well enough, and a note.
    Raises `SpaceError`."""
    if len(models) < 3:
        raise fault(
            "bad-option", f"{len(models)} networks are too few to compare", "take 3 or more"
        )
    predicted, coverage = zip(*(_predicted(m, latency) for m in models), strict=True)
    runtime = runtime_of(target)
    version_on(host, target)
    artifacts = [artifact_of(model, target) for model in models]
    start = time.perf_counter()

    def opened() -> list[Run]:
        progress((time.perf_counter() - start) / seconds, "more rounds, in new sessions")
        return [host.open(runtime, artifact, target.threads) for artifact in artifacts]

    def enough(timing: Timing) -> bool:
        halves = timing.without_common_mode().split_half()
        known = int((halves <= REPEATABLE).sum())
        share = max(known / len(models), (time.perf_counter() - start) / seconds)
        progress(share, f"{known} of {len(models)} repeat within {REPEATABLE:.0%}")
        return known == len(models)

    raw = interleave(
        opened,
        seconds,
        take=host.rounds(clock),
        visit=VISIT,
        enough=enough,
        least=LEAST_ROUNDS,
    )
    timing = raw.without_common_mode()
    halves = timing.split_half()
    times = [timing.time_ms(i) for i in range(len(models))]
    measured = np.array([t.median for t in times])
    ratios = np.array(predicted) / measured
    covered = ratios[np.isfinite(ratios)]
    factor = float(np.exp(-np.median(np.log(covered)))) if len(covered) else nan
    checked = tuple(
        Checked(
            name=model.name,
            space=model.of.name,
            predicted_ms=predicted[i],
            measured_ms=times[i].median,
            low_ms=times[i].low,
            high_ms=times[i].high,
            split_half=float(halves[i]),
            error=float(ratios[i] * factor - 1),
            coverage=coverage[i].name.lower(),
        )
        for i, model in enumerate(models)
    )
    return Verification(checked, factor, len(timing.times_s), clock)


def _predicted(model: Subnet, latency: LatencyModel) -> tuple[float, Coverage]:
    sites = [site for stage in subnet_sites(model) for site in stage]
    found = latency.predict(sites)
    worst = Coverage(int(found.coverage.max()))
    if worst == Coverage.UNCOVERED:
        return nan, worst
    ms = float(found.ms.sum())
    return ms, max(worst, known_from(latency, ms))
