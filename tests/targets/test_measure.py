"""The measurer: what rounds have in common goes, what subjects differ by stays."""

from __future__ import annotations

import numpy as np
import pytest

from spacedsl.hosts.measure import (
    CLOCKS,
    MOST_WARM_RUNS,
    Run,
    Timing,
    Visit,
    by,
    interleave,
    timed_round,
)


def drifting(rounds: int, subjects: int, noise: float, seed: int) -> Timing:
    """Times of 1, 2, 3, ... on a machine that drifts by half and is interrupted now and then."""
    rng = np.random.default_rng(seed)
    drift = 1 + np.linspace(0, 0.5, rounds)[:, None]
    times = np.arange(1, subjects + 1) * drift * rng.normal(1, noise, (rounds, subjects))
    interrupted = rng.random(times.shape) < 0.03
    return Timing(np.where(interrupted, times * 3, times))


def test_the_common_mode_is_taken_out() -> None:
    raw = drifting(40, 8, 0.01, seed=0)
    timing = raw.without_common_mode()
    assert raw.split_half().min() > 0.05
    assert timing.split_half().max() < 0.015
    found = np.median(timing.times_s, axis=0)
    assert found / found[0] == pytest.approx(np.arange(1, 9), rel=0.01)
    level = np.median(raw.times_s) / np.median(timing.times_s)
    assert level == pytest.approx(1, abs=0.1)


def test_two_subjects_have_no_common_mode() -> None:
    raw = drifting(10, 2, 0.01, seed=1)
    assert raw.without_common_mode() is raw
    assert np.isinf(Timing(np.ones((1, 3))).split_half()).all()


def test_rounds_go_on_until_it_is_enough() -> None:
    seen: list[int] = []

    def enough(timing: Timing) -> bool:
        seen.append(len(timing.times_s))
        return len(timing.times_s) >= 40

    timing = interleave([int, float, str], 1e9, visit=Visit(1, 1, 0.0), enough=enough)
    assert seen == [20, 30, 40]
    assert timing.times_s.shape == (40, 3)


def test_the_processor_clock_does_not_count_waiting() -> None:
    import time

    (waited,) = timed_round([lambda: time.sleep(0.02)], 0, CLOCKS["cpu"], Visit(0, 1, 0.0))
    assert waited < 0.01


def test_a_visit_warms_up_by_time() -> None:
    """A network of 2 ms is run 8 times before it is timed, one of 20 ms once, and what takes no
    time by the clock not for ever."""
    now, ran = 0.0, list[float]()

    def taking(seconds: float) -> None:
        nonlocal now
        now += seconds
        ran.append(seconds)

    for seconds, warm in ((0.002, 8), (0.02, 1), (0.0, MOST_WARM_RUNS)):
        ran.clear()
        timed_round([lambda s=seconds: taking(s)], 0, lambda: now, Visit(1, 3, 0.015))  # type: ignore[misc]
        assert len(ran) == warm + 3


def test_subjects_are_opened_again_after_every_other_round() -> None:
    """Halves of the rounds are then of different sessions, whose lasting differences show."""
    opened: list[int] = []
    clock = 0.0

    def sessions() -> list[Run]:
        opened.append(len(opened))
        ms = [1 + 0.2 * (len(opened) > 5), 1.0, 1.0]

        def run(i: int) -> None:
            nonlocal clock
            clock += ms[i]

        return [lambda i=i: run(i) for i in range(3)]  # type: ignore[misc]

    timing = interleave(sessions, 1e9, rounds=20, take=by(lambda: clock), visit=Visit(1, 1, 0.0))
    assert len(opened) == 10
    assert timing.without_common_mode().split_half() == pytest.approx([np.log(1.2), 0, 0])
