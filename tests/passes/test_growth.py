"""Widths that follow from what comes in: `width cin + 32`, `width cin`."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.diff import diff_spaces
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import subnet_code
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range
from spacedsl.report.ribbon import runs
from spacedsl.text import Source

PAGE = """language 1

block dense(squeeze = 4) {
  side = cout - cin
  concat { } { conv 1x1 -> side * squeeze relu  conv 3x3 -> side relu }
}

space s {
  input 3 x 32
  stem { conv 3x3 relu strided  width 8, 16  stride 2 }
  stage1 { dense { squeeze 1, 2 }  width cin + 8  depth 1..3 }
  down { conv 1x1 relu  avgpool 2x2 strided  width cin / 2  stride 2 }
  stage2 { dense  width cin + 4  depth 2 }
  stage3 { conv 3x3 relu  width cin  depth 2 }
  head { pool  linear -> 10 }
}

model m of s at 32 {
  stem { 8 }
  stage1 { 16 squeeze=2  24 squeeze=1 }
}
"""


@cache
def items(text: str = PAGE) -> tuple[Space, Subnet]:
    page = Loader().parse(Source("s.space", text), Path())
    space, model = page.get("s"), page.get("m")
    assert isinstance(space, Space)
    assert isinstance(model, Subnet)
    return space, model


def test_blocks_grow_by_what_comes_in() -> None:
    _, model = items()
    ends = [[site.end for site in stage] for stage in subnet_sites(model)]
    assert ends[:-1] == [[8], [16, 24], [12], [16, 20], [20, 20]]


def test_widths_that_may_come_out() -> None:
    space, _ = items()
    found = [space.widths_after(i) for i in range(4)]
    after = (16, 24, 32, 40)  # of 8: 16, 24, 32; of 16: 24, 32, 40
    assert found == [(8, 16), after, (8, 12, 16, 20), (16, 20, 24, 28)]


def test_costs_lie_between_what_networks_reach() -> None:
    space, _ = items()
    rng = random.Random(0)
    costs = [subnet_cost(random_subnet(space, rng)) for _ in range(400)]
    found = cost_range(space)
    assert (found.flops.least, found.flops.greatest) == (
        min(cost.flops for cost in costs),
        max(cost.flops for cost in costs),
    )
    assert (found.params.least, found.params.greatest) == (
        min(cost.params for cost in costs),
        max(cost.params for cost in costs),
    )


def test_models_say_the_widths() -> None:
    space, model = items()
    for network in (model, smallest(space), largest(space)):
        text = write(network)
        page = Loader().parse(Source("s.space", f"{write(space)}\n{text.split('1', 1)[1]}"), Path())
        found = page.get(network.name)
        assert isinstance(found, Subnet)
        assert found.stages == network.stages
    assert "stage1 { 16 squeeze=2  24 squeeze=1 }" in write(model)


def test_what_grows_otherwise_is_another_space() -> None:
    space, model = items()
    other, _ = items(PAGE.replace("width cin + 4", "width cin * 2"))
    assert space_identity(space) != space_identity(other)
    found = mismatch(space, other)
    assert found is not None
    assert found.reason == "the width by `cin` is cin * 2 instead of cin + 4"
    assert mismatch(space, space) is None
    assert subnet_mismatch(space, model) is None
    (change,) = diff_spaces(space, other)
    assert (change.before, change.after) == (("cin + 4",), ("cin * 2",))


def test_codes_do_not_leave_a_choice_out() -> None:
    with pytest.raises(SpaceError, match="stage1 leaves a choice, and codes do not list it"):
        subnet_code(items()[1])


def test_pictures_show_the_widths() -> None:
    space, model = items()
    assert [run.widths for run in runs(model)] == [(8,), (16, 24), (12,), (16, 20), (20, 20)]
    cells = {run.name: [(c.least, c.most) for c in run.cells] for run in runs(space)}
    assert cells["stage1"] == [(16, 24), (24, 32), (32, 40)]


def test_a_stage_without_widths_says_its_settings() -> None:
    """Its blocks keep the width that comes in, and models say it."""
    block = "block keep(kernel) {\n  dwconv kernel relu\n}\n\nspace s"
    text = PAGE.replace("space s", block).replace(
        "squeeze=1 }\n", "squeeze=1 }\n  stage2 { 12 k5 }\n"
    )
    text = text.replace("dense  width cin + 4  depth 2", "keep { kernel 3, 5 }")
    space, model = items(text)
    assert "stage2 { 12 k5 }" in write(model)
    assert subnet_mismatch(space, model) is None
