"""Widths that follow from what comes in and from a setting of the block: `width cin + growth`."""

from __future__ import annotations

import random
from functools import cache
from itertools import product
from pathlib import Path

from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range
from spacedsl.text import Source

PAGE = """language 1

block dense(growth, squeeze = 2) {
  concat { } { conv 1x1 -> growth * squeeze relu  conv 3x3 -> growth relu }
}

space s {
  input 3 x 32
  stem { conv 3x3 relu strided  width 8, 16  stride 2 }
  stage1 { dense { growth 4, 12 }  width cin + growth  depth 1..3 }
  down { conv 1x1 relu  avgpool 2x2 strided  width cin / 2  stride 2 }
  head { pool  linear -> 10 }
}

model m of s at 32 {
  stem { 8 }
  stage1 { 12 growth=4  24 growth=12 }
}
"""


@cache
def items(text: str = PAGE) -> tuple[Space, Subnet]:
    page = Loader().parse(Source("s.space", text), Path())
    space, model = page.get("s"), page.get("m")
    assert isinstance(space, Space)
    assert isinstance(model, Subnet)
    return space, model


def test_blocks_grow_by_their_setting() -> None:
    space, model = items()
    ends = [[site.end for site in stage] for stage in subnet_sites(model)]
    assert ends[:-1] == [[8], [12, 24], [12]]
    sums = {sum(said) for depth in (1, 2, 3) for said in product((4, 12), repeat=depth)}
    assert space.widths_after(1) == tuple(sorted({stem + s for stem in (8, 16) for s in sums}))
    shared, _ = items(
        PAGE.replace("depth 1..3", "depth 3  shared growth").replace(
            "12 growth=4  24 growth=12", "12 growth=4  16 growth=4  20 growth=4"
        )
    )
    assert shared.widths_after(1) == (20, 28, 44, 52)


def test_costs_lie_between_what_networks_reach() -> None:
    for text in (
        PAGE,
        PAGE.replace("depth 1..3", "depth 1..2  shared growth").replace(
            "24 growth=12", "16 growth=4"
        ),
    ):
        space, _ = items(text)
        rng = random.Random(0)
        costs = [subnet_cost(random_subnet(space, rng)) for _ in range(300)]
        found = cost_range(space)
        for name in ("flops", "params"):
            values = [getattr(cost, name) for cost in costs]
            extent = getattr(found, name)
            assert (extent.least, extent.greatest) == (min(values), max(values))


def test_models_say_both() -> None:
    space, model = items()
    text = write(model)
    assert "stage1 { 12 growth=4 squeeze=2  24 growth=12 squeeze=2 }" in text
    page = Loader().parse(Source("s.space", f"{write(space)}\n{text.split('1', 1)[1]}"), Path())
    found = page.get("m")
    assert isinstance(found, Subnet)
    assert found.stages == model.stages
    assert subnet_mismatch(space, model) is None


def test_the_name_of_the_setting_means_nothing() -> None:
    space, _ = items()
    other, _ = items(PAGE.replace("growth", "g"))
    assert space_identity(space) == space_identity(other)
    assert mismatch(space, other) is None
    less, _ = items(
        PAGE.replace("growth 4, 12", "growth 4, 8").replace("24 growth=12", "20 growth=8")
    )
    found = mismatch(space, less)
    assert found is not None
    assert found.reason == "growth 8 is not one of 4, 12"
    swapped = PAGE.replace("squeeze = 2", "squeeze").replace("growth 4, 12", "growth 4  squeeze 4")
    swapped = swapped.replace("24 growth=12", "16 growth=4")
    by_growth, _ = items(swapped)
    by_squeeze, _ = items(swapped.replace("cin + growth", "cin + squeeze"))
    assert space_identity(by_growth) != space_identity(by_squeeze)
