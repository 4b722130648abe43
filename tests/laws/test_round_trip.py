"""Laws of meaning: what is written reads back as the same value, and is written the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.lang.values import shown
from spacedsl.lang.write import write
from tests.laws.strategies import hyperspaces, members, subnets
from tests.support import PAGES, SPACES, item_of, library_item, page_id


def family(item: Space | Subnet) -> list[Space | Subnet]:
    """An item after all that it is `of`, as one page can hold them."""
    outer = item.of
    return [item] if outer is None else [*family(outer), item]


def check_round_trip(item: Space | Subnet) -> None:
    text = write(*family(item))
    again = item_of(text, item.name)
    assert again == item
    assert isinstance(again, Space | Subnet)
    assert write(*family(again)) == text


@pytest.mark.slow
@given(hyperspaces())
def test_hyperspace(space: Space) -> None:
    check_round_trip(space)


@pytest.mark.slow
@given(members())
def test_space(space: Space) -> None:
    check_round_trip(space)


@pytest.mark.slow
@given(subnets())
def test_model(subnet: Subnet) -> None:
    assert subnet_mismatch(subnet.of, subnet) is None
    check_round_trip(subnet)


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_library_page(path: Path) -> None:
    page = Loader().load(path)
    for name in page.names:
        item = page.get(name)
        if isinstance(item, Space | Subnet):
            again = item_of(write(item), name, path.parent)
            assert again == item
            assert isinstance(again, Space | Subnet)
            assert write(again) == write(item)


FOUND = [p for p in PAGES if p.parent == SPACES and p.stem.startswith(("vnni", "pixel4"))]
MODELS = [p for p in PAGES if p.parent.name == "models"]


@pytest.mark.parametrize("path", FOUND + MODELS, ids=page_id)
def test_found_pages_read_as_the_published_ones(path: Path) -> None:
    """A space or model that the system writes has the library's words, comments aside."""
    page = Loader().load(path)
    item = page.get(page.names[0])
    assert isinstance(item, Space | Subnet)
    assert statements(write(item)) == statements(path.read_text(encoding="utf-8"))


def statements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


TWIN = """language 1

block twin(kernel, expand, act = swish) {
  conv kernel -> round8(cin * expand) act strided
  conv 1x1
  shortcut projected
}

space s of tiny {
  stage1 { twin { kernel 3  expand 1 }  width 8, 16 }
  stage2 { mbv2  width 24, 32 }
  stage3 { mbv2  width 40, 48 }
}
"""


def test_a_member_may_say_a_block_in_its_own_words() -> None:
    """The hyperspace's fused under another name; its definition goes with it."""
    space = item_of(TWIN, "s")
    assert isinstance(space, Space)
    assert write(space) == TWIN
    check_round_trip(space)


def test_a_page_s_own_block_is_not_mistaken_for_the_hyperspace_s() -> None:
    other = TWIN.replace("twin", "fused").replace("conv 1x1\n", "conv 1x1 relu\n")
    with pytest.raises(SpaceError, match="not a member of tiny: stage1"):
        item_of(other, "s")


def test_pages_are_the_same_in_whatever_order_they_are_read() -> None:
    loader = Loader()
    loader.load(SPACES / "std" / "blocks.space")
    assert loader.load(SPACES / "tiny.space").get("tiny") == library_item("tiny")


numbers = st.integers(1, 99_999) | st.decimals("0.0001", 999, places=4).map(float)


@given(st.lists(numbers, min_size=1, max_size=12, unique=True))
def test_lists_of_values(values: list[float]) -> None:
    plain = tuple(sorted(int(v) if v == int(v) else v for v in values))
    text = (
        "language 1\nblock b(expand) { conv 1x1 -> round8(cin * expand)  conv 1x1 strided }\n"
        f"space s {{ input 32  stem {{ b {{ expand {shown(plain)} }}  width 8 }} }}\n"
    )
    found = item_of(text, "s")
    assert isinstance(found, Space)
    assert found.stages[0].choices[0].values("expand") == plain
