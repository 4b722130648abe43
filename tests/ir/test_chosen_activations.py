"""Activations that a block chooses: identity, members, sizes, differences."""

from __future__ import annotations

import random

from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.diff import diff_spaces
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.lang.resolve import flattened
from spacedsl.lang.write import write
from tests.support import item_of

PAGE = """language 1
use "std/blocks.space"

hyperspace h {
  input 3 x 32
  blocks { mbv3 { kernel 3, 5  expand 2  act hswish, relu, swish } }
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 { width 8, 16  depth 1..2  stride 2  SHARED }
  head { pool  linear -> 10 }
}

space some of h { stage1 { mbv3 { act relu, swish } } }

space one of h { stage1 { mbv3 { act swish } } }
"""


def space(name: str, text: str = PAGE.replace("SHARED", "")) -> Space:
    found = item_of(text, name)
    assert isinstance(found, Space)
    return found


def shared(name: str) -> Space:
    return space(name, PAGE.replace("SHARED", "shared act"))


def test_their_order_does_not_matter_and_they_do() -> None:
    other = space(
        "h", PAGE.replace("SHARED", "").replace("hswish, relu, swish", "swish, relu, hswish")
    )
    assert space_identity(other) == space_identity(space("h"))
    hashes = {space_identity(s) for s in (*map(space, ("h", "some", "one")), shared("h"))}
    assert len(hashes) == 4


def test_fewer_of_them_are_a_part_and_more_are_not() -> None:
    h, some, one = map(space, ("h", "some", "one"))
    assert mismatch(h, some) is mismatch(h, one) is mismatch(some, one) is None
    found = mismatch(some, h)
    assert found is not None
    assert (found.stage, found.key) == ("stage1", "act")
    assert found.reason == "act hswish is not one of relu, swish"
    assert subnet_mismatch(h, found.witness) is None
    assert subnet_mismatch(some, found.witness) is not None
    other = mismatch(one, some)
    assert other is not None
    assert other.key == "block"


def test_what_is_shared_is_chosen_once() -> None:
    free, bound = space("h"), shared("h")
    assert mismatch(free, bound) is None
    found = mismatch(bound, free)
    assert found is not None
    assert (found.key, found.reason) == (
        "shared",
        "act differs between blocks, but is shared there",
    )
    widths, settings, acts = 2, 2, 3
    each = widths * settings
    assert count_subnets(free) == each * acts + (each * acts) ** 2
    assert count_subnets(bound) == acts * (each + each**2)
    assert mismatch(bound, shared("one")) is None


def test_members_say_which_they_have() -> None:
    h, one = space("h"), space("one")
    rng = random.Random(0)
    for subnet in (*(random_subnet(h, rng) for _ in range(20)), smallest(h), largest(h)):
        assert item_of(
            write(flattened(h), subnet.model_copy(update={"of": flattened(h)})), subnet.name
        )
        acts = {block.setting("act") for block in subnet.stages[1].blocks}
        assert (subnet_mismatch(one, subnet) is None) == (acts == {"swish"})
    for subnet in (random_subnet(one, rng) for _ in range(5)):
        assert subnet_mismatch(h, subnet) is None
        assert [s.name for s in subnet.stages[1].blocks[0].settings] == ["kernel", "expand"]
    assert space_identity(flattened(one)) == space_identity(one)


def test_a_difference_is_that_of_the_activations() -> None:
    (change,) = diff_spaces(space("h"), space("one"))
    assert (change.key, change.before, change.after) == (
        "mbv3 act",
        ("relu", "hswish", "swish"),
        ("swish",),
    )
