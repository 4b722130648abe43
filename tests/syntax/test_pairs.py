"""Rows and columns that differ, as other notations have them: the mend says the same network."""

from __future__ import annotations

import pytest

from spacedsl.diagnostics import SpaceError
from tests.conformance.test_mistakes import fixed
from tests.support import item_of

PAGE = """language 1
block b(kernel) { dwconv kernel relu strided  conv 1x1 }
space s {
  input 1 x 49x10
  stem { conv 3x3 relu strided  width 16  stride 2 }
  stage1 { b { kernel 3, 5 }  width 16  stride 2 }
  head { pool  linear -> 10 }
}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "meant"),
    [
        ("input 1 x 49x10", "input 49x10x1", "input 1 x 49x10"),
        ("input 1 x 49x10", "input (49, 10, 3)", "input 3 x 49x10"),
        ("kernel 3, 5", "kernel (1, 5)", "kernel 1x5"),
        ("kernel 3, 5", "kernel (7, 3)", "kernel 7x3"),
        ("kernel 3, 5", "kernel 1 x 5", "kernel 1x5"),
        ("kernel 3, 5", "kernel [(1, 5), (3, 3)]", "kernel 1x5, 3"),
        ("conv 3x3 relu strided", "conv (10, 4) relu strided", "conv 10x4 relu strided"),
        ("conv 3x3 relu strided", "conv [10, 4] relu strided", "conv 10x4 relu strided"),
    ],
)
def test_a_pair_stays_a_pair(right: str, wrong: str, meant: str) -> None:
    text = PAGE.replace(right, wrong, 1)
    with pytest.raises(SpaceError) as caught:
        item_of(text, "s")
    (error,) = caught.value.diagnostics
    assert item_of(fixed(text, error), "s") == item_of(PAGE.replace(right, meant, 1), "s")
