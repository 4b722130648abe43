"""Which maps the taps of a page are."""

from __future__ import annotations

import random

from spacedsl.compiler.graph import lower
from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.passes.taps import output_strides, tap_shapes, tapped
from tests.compiler.taps_support import EYES, eyes
from tests.support import item_of


def space_of(stages: str, taps: str = "", sizes: str = "30") -> Space:
    found = item_of(f"language 1\nspace s {{ input 3 x {sizes}\n{taps}\n{stages} }}", "s")
    assert isinstance(found, Space)
    return found


STEM = "stem { conv 3x3 relu strided  width 8  stride 2 }"


def test_a_tap_is_the_last_map_of_its_stride() -> None:
    more = "again { conv 3x3 relu  width 12 }\nlast { conv 3x3 relu strided  width 16  stride 2 }"
    space = space_of(f"{STEM}\n{more}", "taps stride 2, 4")
    assert tapped(space) == {"stride2": 1, "stride4": 2}
    assert tap_shapes(smallest(space)) == {"stride2": (12, 15, 15), "stride4": (16, 8, 8)}


def test_strides_of_an_op_s_own_count() -> None:
    """`s2` and a pool in a body, and a path beside it; a global pool ends them."""
    stem = "stem { conv 3x3 relu s2  maxpool 3x3 s2  width 8 }"
    beside = "more { conv 3x3 strided  shortcut projected relu  width 16  stride 2 }"
    pooled = "end { pool  conv 1x1 relu  width 24 }"
    space = space_of(f"{stem}\n{beside}\n{pooled}")
    assert output_strides(space) == (4, 8, None)


def test_of_a_stage_that_is_left_out_it_is_the_map_before() -> None:
    block = "block some(there) { optional there { conv 3x3 relu } }\n"
    page = f"""language 1
{block}
space s {{ input 3 x 32
taps stride 2
{STEM}
more {{ some {{ there 0, 1 }}  width 8 }} }}"""
    space = item_of(page, "s")
    assert isinstance(space, Space)
    least, most = (lower(find(space)).outputs[0].node.name for find in (smallest, largest))
    assert (least, most) == ("stem.0.conv0.relu", "more.0.conv0.relu")


def test_outputs_are_part_of_what_a_network_is() -> None:
    """Two pages of the same layers and other outputs are two spaces, and so are their networks."""
    space, less = eyes(), eyes().model_copy(update={"taps": (8, 16)})
    assert space_identity(space) != space_identity(less)
    subnet = random_subnet(space, random.Random(0))
    other = subnet.model_copy(update={"of": less})
    assert subnet_identity(subnet) != subnet_identity(other)
    assert subnet_cost(subnet) == subnet_cost(other)
    found = mismatch(space, less)
    assert found is not None
    assert found.key == "taps"
    assert "maps of stride 8, 16 instead of maps of stride 4, 8, 16" in found.reason
    assert subnet_mismatch(space, other) is not None
    assert subnet_mismatch(space, subnet) is None


def test_a_page_s_taps_are_written_where_they_are_said() -> None:
    """A narrowed space has its parent's, and need not say them."""
    space = eyes()
    assert "taps stride 4, 8, 16" in write(space)
    text = EYES + "\nspace few of eyes { input 32 }\n"
    narrowed = item_of(text, "few")
    assert isinstance(narrowed, Space)
    assert narrowed.taps == space.taps
    assert "taps" not in write(narrowed)
    again = item_of(EYES + "\nspace few of eyes { input 32  taps stride 16, 4, 8 }\n", "few")
    assert again == narrowed
