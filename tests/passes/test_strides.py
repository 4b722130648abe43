"""The stage's stride: taken once, by the first op that is marked and there."""

from __future__ import annotations

import random

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl.operators.size import pair
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range
from tests.support import item_of

UIB = """language 1
block uib(first, start, middle, mid, expand) {
  wide = round8(cin * expand)
  optional first { dwconv start strided }
  conv 1x1 -> wide relu
  optional middle { dwconv mid relu strided }
  conv 1x1
  shortcut identity
}
space s {
  input 3 x 32
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { uib { first FIRST start 3 middle MIDDLE mid 3 expand 2 }  width 8  depth 1..2  stride 2 }
  head { pool  linear -> 10 }
}
"""


def space(first: str, middle: str) -> Space:
    found = item_of(UIB.replace("FIRST", first).replace("MIDDLE", middle), "s")
    assert isinstance(found, Space)
    return found


def strides(found: Space, first: int, middle: int) -> list[list[int]]:
    """Strides of the depthwise convolutions, block by block, of a network with these settings."""
    rng = random.Random(0)
    for _ in range(200):
        subnet = random_subnet(found, rng)
        chosen = {each.name: each.value for each in subnet.stages[1].blocks[0].settings}
        if (chosen["first"], chosen["middle"]) == (first, middle):
            sites = subnet_sites(subnet)[1]
            bound = [layers(site.bind()) for site in sites]
            return [
                [pair(layer.stride)[0] for layer in each if layer.kind == "dwconv"]
                for each in bound
            ]
    raise AssertionError("no such network was drawn")


def test_the_first_op_that_is_there_takes_the_stride() -> None:
    found = space("0, 1", "1")
    assert strides(found, 1, 1)[0] == [2, 1]
    assert strides(found, 0, 1)[0] == [2]
    assert strides(space("1", "0, 1"), 1, 0)[0] == [2]


def test_what_is_there_instead_takes_the_stride() -> None:
    page = UIB.replace(
        "dwconv mid relu strided }", "dwconv mid relu strided } else { dwconv 7x7 strided }"
    )
    found = item_of(page.replace("FIRST", "0, 1").replace("MIDDLE", "0, 1"), "s")
    assert isinstance(found, Space)
    assert [strides(found, 0, middle)[0] for middle in (0, 1)] == [[2], [2]]
    assert strides(found, 1, 0)[0] == [2, 1]
    assert item_of(write(found), "s") == found


def test_later_blocks_have_no_stride() -> None:
    deep = largest(space("1", "1"))
    assert len(deep.stages[1].blocks) == 2
    bound = [layers(site.bind()) for site in subnet_sites(deep)[1]]
    assert [[x.stride for x in each if x.kind == "dwconv"] for each in bound] == [[2, 1], [1, 1]]


def test_where_none_may_be_there_it_is_an_error() -> None:
    with pytest.raises(
        SpaceError,
        match=r"no op of uib is `strided` where .* is 0 and .* is 0, but the stride is 2",
    ):
        space("0, 1", "0, 1")


def test_ranges_of_costs_hold_all_networks() -> None:
    found, rng = space("0, 1", "1"), random.Random(2)
    costs = cost_range(found)
    for _ in range(50):
        flops = subnet_cost(random_subnet(found, rng)).flops
        assert costs.flops.least <= flops <= costs.flops.greatest
    assert subnet_cost(smallest(found)).flops >= costs.flops.least
