"""Reading table directories: what does not belong is an error with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.tables.rows import read_directory, settings_of
from spacedsl.tables.stage_rows import TableRows
from tests.support import library_space

GOOD = "3#8#2_5#16#4,1x8x16x16,0.5,1.0,0.1,2.0"


def read(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    read_directory(folder, library_space("tiny"))


def test_rows_become_columns(tmp_path: Path) -> None:
    (tmp_path / "stage1_0_0.csv").write_text(f"{GOOD}\n3#8#4,1x8x12x12,.25,1,.1,3\n")
    (rows,) = read_directory(tmp_path, library_space("tiny"))
    assert (rows.number, rows.choice, rows.window, len(rows)) == (1, 0, 0, 2)
    assert rows.resolution.tolist() == [32, 24]
    assert rows.depth.tolist() == [2, 1]
    assert rows.widths.tolist() == [[8, 16], [8, 0]]
    assert rows.last_width.tolist() == [16, 8]
    assert rows.settings.tolist() == [[[3, 2], [5, 4]], [[3, 4], [0, 0]]]
    assert rows.latency_ms.tolist() == [2.0, 3.0]
    assert len(rows.take(np.array([False, True]))) == 1


def test_block_types_without_expand_say_none(tmp_path: Path) -> None:
    (tmp_path / "stage1_0_0.csv").write_text("3#32#None_5#48#None,1x16x96x96,.5,1,.1,2\n")
    space = library_space("onnxw")
    (rows,) = read_directory(tmp_path, space)
    assert rows.resolution.tolist() == [192]
    choice = space.stage("stage1").choices[0]
    assert settings_of(choice, rows.settings[0, 1].tolist()) == (("kernel", 5),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("3#8#2,1x8x16x16,0.5,1.0,0.1", "5 columns"),
        ("3#8#2,1x8x16x12,0.5,1.0,0.1,2.0", "shape"),
        ("3#8,1x8x16x16,0.5,1.0,0.1,2.0", "kernel#width#expand"),
        ("3#9#2,1x8x16x16,0.5,1.0,0.1,2.0", "width 9"),
        ("3#24#2,1x8x16x16,0.5,1.0,0.1,2.0", "width 24"),
        ("7#8#2,1x8x16x16,0.5,1.0,0.1,2.0", "kernel 7"),
        ("3#8#None,1x8x16x16,0.5,1.0,0.1,2.0", "2 parameters"),
        ("3#8#x,1x8x16x16,0.5,1.0,0.1,2.0", "x"),
        ("3#8#2,1x8x16x16,nan,1.0,0.1,2.0", "positive numbers"),
        ("3#8#2,1x8x16x16,0.5,1.0,0.1,-2.0", "positive numbers"),
        ("3#8#2_3#8#2_3#8#2,1x8x16x16,0.5,1.0,0.1,2.0", "no depth 3"),
        ("3#8#2,1x8x15x15,0.5,1.0,0.1,2.0", "height of 15"),
        ("ä", "no text table"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said) as found:
        read(tmp_path, "stage1_0_0.csv", GOOD, line)
    assert "stage1_0_0.csv" in str(found.value)


@pytest.mark.parametrize("name", ["stage9_0_0.csv", "stage1_5_0.csv", "stage1_0_9.csv", "x.csv"])
def test_names_of_other_hyperspaces_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpaceError, match="table-name"):
        read(tmp_path, name, GOOD)


def test_an_empty_directory_and_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SpaceError, match="table-missing"):
            read_directory(folder, library_space("tiny"))


def test_rows_are_drawn_by_stage_block_window_and_resolution(tmp_path: Path) -> None:
    lines = [GOOD, "3#8#4,1x8x12x12,.25,1,.1,3", "3#16#2,1x8x16x16,0.75,1.0,0.1,1.0"]
    (tmp_path / "stage1_0_0.csv").write_text("\n".join(lines))
    space = library_space("tiny")
    table = TableRows.read(tmp_path, space)
    choice = space.stage("stage1").choices[0]
    assert table.resolutions == (24, 32)
    found = table.rows(1, choice, (8, 16), 32)
    assert found is not None
    assert [column.tolist() for column in found] == [[1.0, 2.0], [0.75, 0.5]]
    assert table.rows(1, choice, (16, 24), 32) is None
    assert table.rows(2, choice, (8, 16), 32) is None

    kernels = choice.args[0].model_copy(update={"values": (3,)})
    narrow = choice.model_copy(update={"args": (kernels, *choice.args[1:])})
    found = table.rows(1, narrow, (8, 16), 32)
    assert found is not None
    assert found[0].tolist() == [1.0]

    (tmp_path / "stage1_0_0.csv").write_text("\n".join(reversed(lines)))
    assert TableRows.read(tmp_path, space).identity == table.identity
    (tmp_path / "stage1_0_0.csv").write_text("\n".join(lines[:2]))
    assert TableRows.read(tmp_path, space).identity != table.identity
