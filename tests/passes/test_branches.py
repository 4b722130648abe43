"""Bodies side by side: what they are the same as, and what is alive while they run."""

from __future__ import annotations

import pytest

from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source
from tests.support import item_of

PAGE = """language 1

space s {
  input 3 x 8
  stem { conv 1x1  width 16 }
  a { BODY  width WIDTH }
}
"""


def space_of(body: str, width: int = 16) -> Space:
    found = item_of(PAGE.replace("BODY", body).replace("WIDTH", str(width)), "s")
    assert isinstance(found, Space)
    return found


def test_a_sum_with_the_input_is_a_shortcut() -> None:
    one, other = (
        largest(space_of(body))
        for body in ("sum { } { conv 3x3 } relu", "conv 3x3  shortcut identity relu")
    )
    assert subnet_identity(one) == subnet_identity(other)
    assert subnet_memory(one) == subnet_memory(other)


@pytest.mark.parametrize(
    ("body", "width", "alive"),
    [
        ("concat { } { conv 3x3 -> 8 }", 24, 16 + 8 + 24),
        ("concat { conv 3x3 -> 8 } { conv 3x3 -> 4 }", 12, 16 + 8 + 4),
        ("concat split { } { conv 3x3 -> 8 }", 16, 16 + 8 + 8),
    ],
)
def test_what_is_alive_beside_each_other(body: str, width: int, alive: int) -> None:
    """Channels on a map of 8 x 8: the input as long as a body needs it, and what others made."""
    assert subnet_memory(largest(space_of(body, width))) == alive * 64


def test_a_shuffle_of_one_group_is_none() -> None:
    plain = largest(space_of("conv 1x1"))
    for groups in (1, 16):
        assert subnet_identity(largest(space_of(f"conv 1x1  shuffle {groups}"))) == subnet_identity(
            plain
        )


def test_slices_are_equal_parts_in_order() -> None:
    subnet = largest(space_of("concat split { } { conv 1x1 -> 4 } { } { conv 1x1 -> 4 }"))
    (site,) = subnet_sites(subnet)[1]
    found = [layer for layer in layers(site.bind()) if layer.kind == "slice"]
    assert [(layer.start, layer.cout) for layer in found] == [(0, 4), (4, 4), (8, 4), (12, 4)]


def test_comments_keep_their_places() -> None:
    text = """language 1

block b {
  concat {  # first
    conv 3x3
    # last of it
  } { } {
    dwconv 3x3  # own
  } relu  # after
}
"""
    assert format_text(Source("page", text)) == text


def test_a_body_is_written_as_it_is_read() -> None:
    space = space_of("concat split { } { sum { } { conv 3x3 -> 8 relu } }  shuffle 2")
    again = item_of(write(space), "s")
    assert again == space
