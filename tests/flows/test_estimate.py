"""What is timed of many jobs, so that a plan takes no longer than it is worth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spacedsl.flows import estimate
from tests.flows.test_search import Listening


def jobs(stages: int, types: int) -> list[Any]:
    return [
        SimpleNamespace(number=number, choice=choice)
        for number in range(1, stages + 1)
        for choice in range(types)
    ]


@pytest.mark.parametrize(("stages", "types"), [(6, 7), (6, 2), (3, 3), (1, 4)])
def test_the_first_jobs_are_of_all_stages_and_of_many_block_types(stages: int, types: int) -> None:
    mixed = estimate._mixed(jobs(stages, types))
    assert len(mixed) == stages * types
    first = mixed[:stages]
    assert [job.number for job in first] == list(range(1, stages + 1))
    assert len({job.choice for job in first}) == min(stages, types)


def test_as_much_is_timed_as_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Listening()
    assert list(estimate._timing("jobs", range(42), 6, watch)) == list(range(42))
    monkeypatch.setattr(estimate, "BUDGET_S", 1e-9)
    watch = Listening()
    assert list(estimate._timing("jobs", range(42), 6, watch)) == list(range(6))
    shares = watch.counted["timing jobs"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
