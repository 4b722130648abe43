"""A page names tables from where it stands, not from where a command runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.lang.library import library
from spacedsl.tables.files import load_latency, load_quality, table_path

TARGET = (
    'language 1\ntarget t { device "a CPU, ONNX Runtime" latency "tables/own.json" limits 15ms }\n'
)
SPACE = 'language 1\nspace s of vnni { quality "own.json" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pages" / "tables").mkdir(parents=True)
    for name in ("own.json", "tables/own.json"):
        shutil.copy(table_path("onnxw"), tmp_path / "pages" / name)
    (tmp_path / "pages" / "t.space").write_text(TARGET)
    (tmp_path / "pages" / "s.space").write_text(SPACE)
    return tmp_path


def test_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert api.check("pages/t.space") == ()
    assert load_latency(api.load_target("pages/t.space").latency).resolutions
    assert load_quality(api.load_space("pages/s.space").quality or "").resolutions


def test_the_working_directory_has_no_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pages" / "tables" / "own.json").rename(folder / "own.json")
    (folder / "tables").mkdir()
    shutil.copy(folder / "own.json", folder / "tables")
    monkeypatch.chdir(folder)
    assert [d.code for d in api.check("pages/t.space")] == ["table-missing"]


def test_the_library_s_targets_check() -> None:
    for path in sorted((library() / "targets").glob("*.space")):
        assert api.check(path) == (), path
