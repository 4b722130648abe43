"""Fits recover what made the rows; saved tables come back the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.tables.files import load_latency, load_quality, load_table, save_table
from spacedsl.tables.fit import fit_directory
from spacedsl.tables.rows import fitted, held_out, read_directory
from spacedsl.tables.verify import verify
from tests.support import library_space
from tests.tables.table_rows import additive_ms, blockwise_ms, write_tables


@pytest.mark.parametrize(
    ("device", "granularity", "within_1"),
    [(additive_ms, "kernel", 0.99), (blockwise_ms, "block", 0.9)],
)
def test_held_out_rows_are_predicted(
    tmp_path: Path, device: object, granularity: str, within_1: float
) -> None:
    space = library_space("tiny")
    write_tables(tmp_path, space, device, 400)  # type: ignore[arg-type]
    table = fit_directory(tmp_path, space, hold_out=True, provenance="made up")
    assert table.latency is not None
    assert table.latency.granularity == granularity
    path = tmp_path / "tables.json"
    save_table(table, path)
    assert load_table(path) == table
    again = path.read_bytes()
    save_table(load_table(path), path)
    assert path.read_bytes() == again

    rows = held_out(read_directory(tmp_path, space))
    report = verify(rows, space, load_latency(path), load_quality(str(path)))
    assert report.rows == sum(len(part) for part in rows) > 500
    assert report.flops.max_rel_error < 1e-3  # eight decimals of a few thousand operations
    assert report.params.max_abs_error < 1e-7
    assert report.latency.covered == 1.0
    assert report.latency.within_1 >= within_1
    assert report.quality.r2 > 0.97
    assert report.quality.tau > 0.9
    assert set(report.to_json()) == {"rows", "flops", "params", "latency", "quality"}


def test_the_split_parts_all_rows(tmp_path: Path) -> None:
    space = library_space("tiny")
    write_tables(tmp_path, space, additive_ms, 50)
    files = read_directory(tmp_path, space)
    counts = [sum(map(len, part)) for part in (files, fitted(files), held_out(files))]
    assert counts[0] == counts[1] + counts[2]
    assert 0.1 < counts[2] / counts[0] < 0.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "not a table"),
        ('{"format": "spacedsl-table", "version": 2}', "version"),
        ('{"format": "spacedsl-table", "version": 1, "source": {}}', "source"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(SpaceError, match=said):
        load_table(path)


@pytest.mark.parametrize(
    ("name", "code"), [("onxw", "table-missing"), ("no/such.json", "cannot-read")]
)
def test_missing_tables_are_named(name: str, code: str) -> None:
    with pytest.raises(SpaceError, match=rf"{code}.*{name}"):
        load_latency(name)


def test_a_table_without_latency_says_so() -> None:
    with pytest.raises(SpaceError, match="has no latencies"):
        load_latency("hyper")
