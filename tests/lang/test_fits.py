"""Bodies of the library's pages are not bound again for a page that names one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.lang.page import Loader
from tests.support import SPACES, library_space


def checks(path: Path, name: str) -> int:
    """How many blocks are bound to see whether the page's item fits."""
    loader = Loader()
    assert loader.load(path).get(name) == library_space(name)
    return loader.budget.checks


def test_parents_in_the_library_fit() -> None:
    assert checks(SPACES / "vnni.space", "vnni") == 0
    assert checks(SPACES / "onnxw.space", "onnxw") > 1000


def test_parents_elsewhere_are_looked_at(tmp_path: Path) -> None:
    child = tmp_path / "vnni.space"
    child.write_bytes((SPACES / "vnni.space").read_bytes())
    assert checks(child, "vnni") == 0
    parent, text = tmp_path / "onnxw.space", (SPACES / "onnxw.space").read_text(encoding="utf-8")
    parent.write_text(text, encoding="utf-8")
    assert checks(child, "vnni") > 1000
    parent.write_text(text.replace("stem { conv 3x3", "stem { conv 33x33"), encoding="utf-8")
    with pytest.raises(SpaceError, match="31"):
        Loader().load(child).get("vnni")


def test_an_open_page_of_the_library_is_looked_at() -> None:
    """An editor may show another text than the file's."""
    path = (SPACES / "onnxw.space").resolve()
    loader = Loader({path: path.read_text(encoding="utf-8")})
    loader.load(SPACES / "vnni.space").get("vnni")
    assert loader.budget.checks > 1000
