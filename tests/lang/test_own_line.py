"""An activation on a line of its own below `se`."""

from __future__ import annotations

import pytest

from spacedsl.diagnostics import SpaceError
from tests.support import item_of

PAGE = """language 1
block b {
  dwconv 3x3 strided
  se 4SAID
  conv 1x1
}
space s {
  input 3 x 32
  stem { b  width 16  stride 2 }
  head { pool  linear -> 10 }
}
"""


@pytest.mark.parametrize("said", ["\n  hswish", "\n  hswish hsigmoid", " # inner\n  hswish"])
def test_it_is_not_taken_for_the_one_within(said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        item_of(PAGE.replace("SAID", said), "s")
    (error,) = caught.value.diagnostics
    assert error.place
    assert (error.code, error.place.line, error.place.column) == ("misplaced", 5, 3)
    fixes = [] if "#" in said else ["write it on the line of `se`"]
    assert [fix.title for fix in error.fixes] == fixes


@pytest.mark.parametrize("said", [" hswish", " hswish\n    sigmoid"])
def test_where_the_first_stands_behind_it_it_is_that(said: str) -> None:
    assert item_of(PAGE.replace("SAID", said), "s")
