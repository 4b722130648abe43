"""How a convolution is trained is no part of what a network is: hashes, costs, inclusion and
differences are those of the one that is deployed. A page keeps it all the same."""

from __future__ import annotations

import pytest

from spacedsl.ir.covers import mismatch
from spacedsl.ir.diff import diff_spaces
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Space
from spacedsl.lang.merge import merge_pages
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source
from tests.support import item_of

PAGE = """language 1

block b(kernel) {
  conv kernel relu strided SAID
  dwconv 3x3 SAID
}

space s {
  input 3 x 32
  stem { conv 3x3 relu strided  width 16  stride 2 }
  stage1 { b { kernel 3, 5 }  width 16, 32  depth 1, 2  stride 2 }
  head { pool  linear -> 10 }
}
"""


def text_of(said: str) -> str:
    return PAGE.replace("SAID", said)


def space_of(said: str) -> Space:
    found = item_of(text_of(said), "s")
    assert isinstance(found, Space)
    return found


@pytest.mark.parametrize("said", ["reparam 1", "reparam 4"])
def test_it_is_the_network_that_is_deployed(said: str) -> None:
    deployed, trained = space_of("nonorm bias"), space_of(said)
    assert space_identity(deployed) == space_identity(trained) != space_identity(space_of(""))
    assert mismatch(deployed, trained) is None
    assert mismatch(trained, deployed) is None
    assert mismatch(trained, space_of("")) is not None
    assert diff_spaces(deployed, trained) == ()
    a, b = largest(deployed), largest(trained)
    assert subnet_identity(a) == subnet_identity(b)
    assert subnet_cost(a) == subnet_cost(b)
    assert subnet_memory(a) == subnet_memory(b)
    assert said in write(trained)


def test_a_merge_keeps_what_either_side_says_of_training() -> None:
    base, theirs = text_of("nonorm bias"), text_of("reparam 4")
    ours = base.replace("width 16, 32", "width 16, 24, 32")

    def no_merge(base: str, ours: str, theirs: str) -> tuple[str, bool]:
        raise AssertionError("the sides changed different parts")

    old, mine, other = (Source("page", text) for text in (base, ours, theirs))
    found = merge_pages(old, mine, other, no_merge)
    assert found.text.count("reparam 4") == 2
    assert "width 16, 24, 32" in found.text
    assert not found.conflict
