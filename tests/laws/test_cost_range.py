"""The range of a space's costs, against the cost of each of its subnets."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Subnet, SubnetStage
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range
from tests.laws.strategies import hyperspaces
from tests.laws.test_inclusion import stage_blocks


def stage_choices(stage: Stage) -> list[SubnetStage]:
    return list(
        dict.fromkeys(
            SubnetStage(choice=i, blocks=blocks)
            for i, choice in enumerate(stage.choices)
            for blocks in stage_blocks(stage, choice)
        )
    )


def all_subnets(space: Space, most: int) -> list[Subnet] | None:
    """Every subnet, or None where there are more than `most`."""
    stages = [stage_choices(stage) for stage in space.stages]
    count = len(space.resolutions)
    for found in stages:
        count *= len(found)
    if count > most:
        return None
    return [
        Subnet(name="s", of=space, resolution=r, stages=chosen)
        for r in space.resolutions
        for chosen in product(*stages)
    ]


@pytest.mark.slow
@given(hyperspaces(elastic=2, most=2))
def test_range_is_attained_and_never_left(space: Space) -> None:
    subnets = all_subnets(space, most=400)
    if subnets is None:
        return
    costs = [subnet_cost(s) for s in subnets]
    found = cost_range(space)
    flops, params = [c.flops for c in costs], [c.params for c in costs]
    assert (found.flops.least, found.flops.greatest) == (min(flops), max(flops))
    assert (found.params.least, found.params.greatest) == (min(params), max(params))
