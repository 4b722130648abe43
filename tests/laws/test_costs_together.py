"""Blocks that are bound together cost what each costs alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacedsl.ir.space import Space, Stage
from spacedsl.operators.size import Pair
from spacedsl.passes.bind import Site
from spacedsl.passes.cost import site_cost
from spacedsl.passes.costs import costs
from spacedsl.passes.errors import BindError
from spacedsl.passes.lot import Mixed, Single, lot
from spacedsl.passes.memory import bound_memory
from spacedsl.passes.together import Grid
from tests.support import library_page


def spaces_of(name: str) -> list[Stage]:
    """The stages of a page's spaces."""
    page = library_page(name)
    items = [page.get(item) for item in page.names]
    return [stage for item in items if isinstance(item, Space) for stage in item.stages]


PAGES = (
    "hyper",
    "benchmarks/mnasnet",
    "benchmarks/macro",
    "baselines/resnet",
    "baselines/mobilenetv3",
)
CHOICES = [c for name in PAGES for stage in spaces_of(name) for c in stage.choices]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_many_blocks_cost_what_each_costs(data: st.DataObject) -> None:
    """Narrow and wide, equal widths and others, with the same and with other settings, whatever
    rounding and shortcuts make of them."""
    choice = data.draw(st.sampled_from(CHOICES))
    names = [arg.name for arg in choice.chosen]
    ways = st.tuples(*(st.sampled_from(arg.values) for arg in choice.chosen))
    stride = data.draw(st.sampled_from((1, 2)))
    widths = st.integers(1, 80)
    places = st.tuples(widths, widths, st.sampled_from((1, 7, 28)), ways)
    sites = [
        Site(choice, cin, cout, size, stride, tuple(zip(names, values, strict=True)))
        for cin, cout, size, values in data.draw(st.lists(places, min_size=1, max_size=60))
    ]
    wanted, errors = {}, []
    for site in sites:
        try:
            wanted[site] = site_cost(site), bound_memory(site, site.bind())
        except BindError as error:
            errors.append(str(error))
    if errors:
        with pytest.raises(BindError) as raised:
            costs(sites)
        assert str(raised.value) == errors[0]
        sites = [site for site in sites if site in wanted]
    found = costs(sites)
    rows = [(c.flops, c.params, c.weights, memory) for c, memory in map(wanted.__getitem__, sites)]
    assert found[::2].T.tolist() == [list(map(float, row)) for row in rows]
    assert (found[1::2] == -found[::2]).all()


def test_a_lot_decides_only_where_all_agree() -> None:
    some = lot(np.array([8, 16, 24]))
    assert some > 7
    assert some != 4
    with pytest.raises(Mixed) as mixed:
        bool(some > 8)
    assert mixed.value.which.tolist() == [False, True, True]


def test_a_lot_gives_up_sooner_than_it_overflows() -> None:
    some = lot(np.array([1 << 40, 3]))
    with pytest.raises(Single):
        some * some
    with pytest.raises(Single):
        1 / some


def test_a_grid_is_its_blocks() -> None:
    """In their order; and costs are those of the blocks one by one."""
    choice = next(c for c in CHOICES if len(c.chosen) == 2)
    first, second = (arg.name for arg in choice.chosen)
    settings = tuple(((first, 3), (second, value)) for value in (0.35, 2, 4.0005, 6))
    grid = Grid(choice, 2, settings, (14, Pair(7, 9)), ((8, 16), (16, 16), (24, 8), (40, 40)))
    sites = list(grid)
    assert len(sites) == len(grid) == 32
    assert len(set(sites)) == 32
    assert grid[-1] == sites[-1] == Site(choice, 40, 40, Pair(7, 9), 2, settings[-1])
    assert grid[2:9:3] == sites[2:9:3]
    fits = [site for site in sites if dict(site.settings)[second] in (2, 6)]
    whole = Grid(choice, 2, settings[1::2], (14, Pair(7, 9)), grid.widths)
    assert costs(whole).tolist() == costs(fits).tolist()
