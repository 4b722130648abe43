"""Patches that begin early are warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl import api

PAGE = """language 1
space s {
  input 3 x 32, 48
  stem { OP  width 16  stride 4 }
  head { pool  linear -> 10 }
}
"""


@pytest.mark.parametrize(
    ("op", "warned"),
    [
        ("conv 4x4 relu strided", True),
        ("conv 4x4 valid relu strided", False),
        ("conv 2x2 relu s2  conv 2x2 relu s2", False),
        ("conv 5x5 relu strided", False),
        ("space-to-depth 4  conv 1x1 relu", False),
    ],
)
def test_only_of_patches(op: str, warned: bool, tmp_path: Path) -> None:
    path = tmp_path / "page.space"
    text = PAGE.replace("OP", op)
    path.write_text(text if "strided" in op else text.replace("stride 4", ""))
    page, errors = api.examine(path)
    assert (page is not None, errors) == (True, ())
    assert page is not None
    found = [(d.code, d.place.line) for d in api.page_warnings(page) if d.place]
    assert found == ([("shifted-patches", 4)] if warned else [])
