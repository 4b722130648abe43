"""The short form of `scripts/arm-parity`: files on emulated 64-bit ARM, operator by operator beside
the integer reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arm.measure import failures, measure
from tests.arm.networks import cases
from tests.arm.places import HERE, SHORT_CPUS, missing


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
@pytest.mark.timeout(900)
def test_files_compute_on_arm_what_the_reference_says(tmp_path: Path) -> None:
    """No element is more than a step off, few are one, and a trained network gives all the answers
    that it gives here."""
    networks = list(cases(short=True))
    found = measure(networks, tmp_path, SHORT_CPUS)
    trained = [case.name for case in networks if case.kind == "trained"]
    assert trained
    assert list(failures(found, trained)) == []
    for places in found.values():
        assert places.keys() == {HERE, *(cpu.name for cpu in SHORT_CPUS)}
        for made in places.values():
            assert made.operators["gate, clip"].elements > 100_000
            assert made.operators["sum"].elements > 100_000
