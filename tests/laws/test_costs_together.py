"""Blocks that are bound together cost what each costs alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacedsl.ir.space import Space, Stage
from spacedsl.passes.bind import BindError, Site
from spacedsl.passes.cost import site_cost
from spacedsl.passes.costs import costs
from spacedsl.passes.lot import Mixed, Single, lot
from spacedsl.passes.memory import bound_memory
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
    """Narrow and wide, equal widths and others, whatever rounding and shortcuts make of them."""
    choice = data.draw(st.sampled_from(CHOICES))
    values = tuple((a.name, data.draw(st.sampled_from(a.values))) for a in choice.numeric)
    stride = data.draw(st.sampled_from((1, 2)))
    widths = st.integers(1, 80)
    sizes = data.draw(
        st.lists(st.tuples(widths, widths, st.sampled_from((1, 7, 28))), min_size=1, max_size=40)
    )
    sites = [Site(choice, cin, cout, size, stride, values) for cin, cout, size in sizes]
    wanted, errors = {}, []
    for site in sites:
        try:
            wanted[site] = site_cost(site), bound_memory(site, site.bind())
        except BindError as error:
            errors.append(str(error))
    if errors:
        with pytest.raises(BindError) as raised:
            costs(sites)
        assert str(raised.value) in errors
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
