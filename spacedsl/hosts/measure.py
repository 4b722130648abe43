"""Interleaved timing: A, B, C, A, B, C, ... in short rounds until it is known well enough.

Shared machines drift by 10-20 % within seconds, and all subjects with them; what holds is the ratio
of two runs side by side. A round times every subject once, in an order that rotates; of three or
more subjects, what a round has in common can be taken out of their times."""

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
WARM_S = 0.015
"""Untimed runs of a visit, and the seconds that they take at least: the subject before has emptied
the caches. With one such run the ratio had two modes 15 % apart, by whose turn it was; networks of
2 ms need 4 to 6 runs until they settle."""

MOST_WARM_RUNS = 50
"""Untimed runs at most: what computes elsewhere takes no time by the thread's clock."""

SESSION_ROUNDS = 2
"""Rounds for which sessions stay open where they are opened again."""

TIMED_RUNS = 7
LEAST_ROUNDS = 20
RATIO_TOLERANCE = 0.02
"""Half of the ratio's 95 % interval may be this much of it, its drift twice as much."""

TIME_TOLERANCE = 0.05
"""The same for a time that is compared with nothing."""

Z95 = 1.96

Run = Callable[[], object]
Clock = Callable[[], float]

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.thread_time}
"""`cpu` counts what the calling thread computes: with one thread the same as `wall` on an idle
machine, and without the time that others took on a busy one."""


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

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Timing:
        """From the times of each round, in seconds."""
        return cls(np.array(rounds, dtype=np.float64))

    def time_ms(self, subject: int) -> Estimate:
        """A subject's time in milliseconds."""
        return estimate(self.times_s[:, subject] * 1e3)

    def ratio(self, subject: int, against: int) -> Estimate:
        """How many times as fast `subject` is as `against`, round by round."""
        return estimate(self.times_s[:, against] / self.times_s[:, subject])

    def without_common_mode(self) -> Timing:
        """Each time over its round's factor: the median, over subjects, of the time over the
        subject's own median, which one interrupted subject does not move. From three subjects."""
        if self.times_s.shape[1] < 3:
            return self
        logs = np.log(self.times_s)
        return Timing(np.exp(logs - np.median(logs - np.median(logs, axis=0), axis=1)[:, None]))

    def split_half(self) -> NDArray[np.float64]:
        """By how much each subject's median differs between the two halves of the rounds,
        (subjects,), relative; infinite for fewer than two rounds."""
        rounds, subjects = self.times_s.shape
        if rounds < 2:
            return np.full(subjects, np.inf)
        first = np.median(self.times_s[: rounds // 2], axis=0)
        second = np.median(self.times_s[rounds // 2 :], axis=0)
        return np.asarray(np.abs(np.log(second / first)))

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


@dataclass(frozen=True, slots=True)
class Visit:
    """How a subject is run when its turn comes: `warm` runs or more until they took `warm_s`
    seconds, then `timed` ones."""

    warm: int = WARM_RUNS
    timed: int = TIMED_RUNS
    warm_s: float = WARM_S


Take = Callable[[Sequence[Run], int, Visit], list[float]]
"""Times a round of runs: its number rotates the order; the best of each visit's timed runs, in
seconds."""


Progress = Callable[[float, str], None]
"""Takes the share that is done, and a note."""


def by(clock: Clock) -> Take:
    """Rounds in this process, by a clock."""
    return lambda runs, turn, visit: timed_round(runs, turn, clock, visit)


def interleave(
    subjects: Sequence[Run] | Callable[[], Sequence[Run]],
    seconds: float,
    rounds: int | None = None,
    take: Take | None = None,
    visit: Visit = Visit(),
    enough: Callable[[Timing], bool] | None = None,
    least: int = LEAST_ROUNDS,
    progress: Progress = lambda share, note: None,
) -> Timing:
    """Time `subjects` in rounds: exactly `rounds`, or until the estimates are steady (or `enough`),
    for at most about `seconds`, but `least` rounds. `take` times a round (None: in this process, by
    the wall's clock). What opens them is asked again after every other round. `progress` takes,
    after each, the share of the time that is spent and how many there were. Rounds that were
    interrupted stay in; medians bear them."""
    runs = _warmed(subjects)
    enough, take = enough or (lambda timing: timing.steady), take or by(CLOCKS["wall"])
    times: list[list[float]] = []
    start = time.perf_counter()
    while True:
        if callable(subjects) and times and len(times) % SESSION_ROUNDS == 0:
            runs = []  # closed before others are opened: their memory is needed
            runs = _warmed(subjects)
        times.append(take(runs, len(times), visit))
        count, spent = len(times), time.perf_counter() - start
        late = spent >= seconds
        progress(1.0 if late else spent / seconds, f"{count} rounds")
        if rounds is not None:
            if count >= rounds:
                break
        elif count >= least and (late or (count % 10 == 0 and enough(Timing.of(times)))):
            break
    return Timing.of(times)


def _warmed(subjects: Sequence[Run] | Callable[[], Sequence[Run]]) -> Sequence[Run]:
    runs = subjects() if callable(subjects) else subjects
    for run in runs:
        for _ in range(WARM_UP):
            run()
    return runs


def timed_round(
    runs: Sequence[Run], turn: int, clock: Clock, visit: Visit = Visit()
) -> list[float]:
    """The best of a visit's timed runs, per subject, in seconds; `turn` rotates the order."""
    best = [0.0] * len(runs)
    for i in range(len(runs)):
        subject = (i + turn) % len(runs)
        _warm(runs[subject], clock, visit)
        best[subject] = min(_timed(runs[subject], clock) for _ in range(visit.timed))
    return best


def _warm(run: Run, clock: Clock, visit: Visit) -> None:
    start, done = clock(), 0
    while done < visit.warm or (done < MOST_WARM_RUNS and clock() - start < visit.warm_s):
        run()
        done += 1


def _timed(run: Run, clock: Clock) -> float:
    start = clock()
    run()
    return clock() - start
