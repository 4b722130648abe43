"""Decoded views are kept, to the byte, within a limit, and a full disk costs time only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spacedsl_runtime.data.kept import Kept
from spacedsl_runtime.data.split import Bytes, Labels
from tests.runtime.training import no_file_above

Batches = list[tuple[Bytes, Labels]]


def made(seed: int) -> Batches:
    rng = np.random.default_rng(seed)
    counts = (4, 4, 3)  # of one an image is unreadable
    return [(rng.integers(0, 256, (n, 3, 8, 8), np.uint8), np.arange(n) + seed) for n in counts]


SIZE = 11 * 3 * 8 * 8


class Maker:
    """Batches that say how often they were made."""

    def __init__(self, seed: int) -> None:
        self.batches, self.times = made(seed), 0

    def __iter__(self) -> Iterator[tuple[Bytes, Labels]]:
        self.times += 1
        yield from self.batches


def same(found: Batches, wanted: Batches) -> bool:
    return len(found) == len(wanted) and all(
        np.array_equal(a, c) and np.array_equal(b, d)
        for (a, b), (c, d) in zip(found, wanted, strict=True)
    )


def test_what_is_kept_is_what_was_made() -> None:
    kept, one, two = Kept(), Maker(0), Maker(1)
    for _ in range(3):
        assert same(list(kept.get("one", SIZE, one)), one.batches)
        assert same(list(kept.get("two", SIZE, two)), two.batches)
    assert (one.times, two.times) == (1, 1)


def test_what_is_not_read_to_its_end_is_not_kept() -> None:
    kept, maker = Kept(), Maker(0)
    assert same([next(iter(kept.get("it", SIZE, maker)))], maker.batches[:1])
    assert same(list(kept.get("it", SIZE, maker)), maker.batches)
    assert same(list(kept.get("it", SIZE, maker)), maker.batches)
    assert maker.times == 2


def test_a_limit_holds_for_all_together() -> None:
    kept, one, two = Kept(SIZE + 10), Maker(0), Maker(1)
    for _ in range(2):
        assert same(list(kept.get("one", SIZE, one)), one.batches)
        assert same(list(kept.get("two", SIZE, two)), two.batches)
    assert (one.times, two.times) == (1, 2)


def test_a_full_disk_and_no_disk_keep_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, maker = Kept(), Maker(0)
    with no_file_above(300):
        for _ in range(2):
            assert same(list(kept.get("it", SIZE, maker)), maker.batches)
    assert maker.times == 2
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert same(list(kept.get("it", SIZE, maker)), maker.batches)
    assert maker.times == 3
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):
        assert same(list(kept.get("it", SIZE, maker)), maker.batches)
    assert maker.times == 4
    assert os.listdir(tmp_path) == []


def test_no_file_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = Kept()
    for i in range(20):
        list(kept.get(i, SIZE, Maker(i)))
        next(iter(kept.get(f"part {i}", SIZE, Maker(i))))
    assert len(os.listdir("/proc/self/fd")) - before <= 20  # one each, of the mapping
