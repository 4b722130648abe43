"""Interleaved timing: A, B, A, B, ... in short rounds until the ratio is known well enough.

Shared machines drift by 10-20 % within seconds, and both subjects with them; what holds is the
ratio of two runs side by side. A round times every subject once, in an order that rotates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARM_UP = 5
WARM_RUNS = 3
"""Untimed runs of a visit: the subject before has emptied the caches. With one such run the ratio
had two modes 15 % apart, by whose turn it was."""

TIMED_RUNS = 7
LEAST_ROUNDS = 20
RATIO_TOLERANCE = 0.02
"""Half of the ratio's 95 % interval may be this much of it, its drift twice as much."""

TIME_TOLERANCE = 0.05
"""The same for a time that is compared with nothing."""

Z95 = 1.96

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median with its 95 % interval. `drift`: the second half's median over the first's, minus
    one; `spread`: the interquartile range over the median."""

    median: float
    low: float
    high: float
    spread: float
    drift: float

    def to_json(self) -> dict[str, float]:
        """Every field."""
        return asdict(self)

    @property
    def halfwidth(self) -> float:
        """Half of the interval, relative to the median."""
        return (self.high - self.low) / 2 / self.median

    def steady(self, tolerance: float) -> bool:
        """Is it known to `tolerance`?"""
        return self.halfwidth <= tolerance and abs(self.drift) <= 2 * tolerance


@dataclass(frozen=True, slots=True)
class Timing:
    """`times_s` (rounds, subjects): the best of a visit's runs, in seconds."""

    times_s: NDArray[np.float64]

    def time_ms(self, subject: int) -> Estimate:
        """A subject's time in milliseconds."""
        return estimate(self.times_s[:, subject] * 1e3)

    def ratio(self, subject: int, against: int) -> Estimate:
        """How many times as fast `subject` is as `against`, round by round."""
        return estimate(self.times_s[:, against] / self.times_s[:, subject])

    @property
    def steady(self) -> bool:
        """Every ratio to subject 0 within its tolerance, or its time where it is alone."""
        subjects = self.times_s.shape[1]
        if subjects == 1:
            return self.time_ms(0).steady(TIME_TOLERANCE)
        return all(self.ratio(0, i).steady(RATIO_TOLERANCE) for i in range(1, subjects))

    def to_json(self) -> dict[str, Any]:
        """Rounds and times in milliseconds."""
        subjects = self.times_s.shape[1]
        times = [self.time_ms(i).to_json() for i in range(subjects)]
        return {"rounds": len(self.times_s), "times_ms": times, "steady": self.steady}


def estimate(samples: NDArray[np.float64]) -> Estimate:
    """Median and its 95 % interval from order statistics (no assumption on the distribution)."""
    ordered, n = np.sort(samples), len(samples)
    reach = Z95 * sqrt(n) / 2
    low = max(0, int(np.floor(n / 2 - reach)) - 1)
    high = min(n - 1, int(np.ceil(n / 2 + reach)))
    median = float(np.median(ordered))
    quarter, three = np.percentile(ordered, (25, 75))
    halves = np.median(samples[: n // 2 or 1]), np.median(samples[n // 2 :])
    return Estimate(
        median,
        float(ordered[low]),
        float(ordered[high]),
        float(three - quarter) / median,
        float(halves[1] / halves[0]) - 1,
    )


def interleave(
    runs: Sequence[Run],
    seconds: float,
    rounds: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time `runs` in rounds: exactly `rounds`, or until the estimates are steady, for at most
    about `seconds`. Rounds that were interrupted stay in; medians bear them."""
    for run in runs:
        for _ in range(WARM_UP):
            run()
    times: list[list[float]] = []
    start = clock()
    while True:
        times.append(_round(runs, len(times), clock))
        count, late = len(times), clock() - start >= seconds
        if rounds is not None:
            if count >= rounds:
                break
        elif count >= LEAST_ROUNDS and (late or (count % 10 == 0 and _timing(times).steady)):
            break
    return _timing(times)


def _timing(times: list[list[float]]) -> Timing:
    return Timing(np.array(times))


def _round(runs: Sequence[Run], turn: int, clock: Callable[[], float]) -> list[float]:
    """The best of a visit's timed runs, per subject."""
    best = [0.0] * len(runs)
    for i in range(len(runs)):
        subject = (i + turn) % len(runs)
        for _ in range(WARM_RUNS):
            runs[subject]()
        best[subject] = min(_timed(runs[subject], clock) for _ in range(TIMED_RUNS))
    return best


def _timed(run: Run, clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
