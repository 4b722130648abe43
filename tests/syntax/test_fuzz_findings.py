"""What scripts/fuzz.py and nightly runs of the laws found, one case each."""

from __future__ import annotations

import pytest

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.lang.check import check_page
from spacedsl.lang.page import Loader
from spacedsl.lang.resolve import resolved_text
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source
from tests.cli.test_commands import run
from tests.support import SPACES, item_of


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        # mended by reading `}` as `-`: the block is broken, not what follows it
        ("language 1\nblock b() { se round}(cin) }\n", ["syntax"]),
        (
            "language 1\nblock b() { se round}(cin) }\nblock c { conv 1x1 q }\n",
            ["syntax", "unknown-modifier"],
        ),
    ],
)
def test_a_page_that_raised(text: str, codes: list[str]) -> None:
    page = Loader().open_source(Source("page.space", text), SPACES)
    assert [d.code for d in check_page(page)] == codes


def test_comments_within_a_setting() -> None:
    """Two of them once met on one line, and the formatter refused itself."""
    text = "model m of s at 8 { stem { 32 second# one\n=# two\n1 } }\n"
    formatted = format_text(Source("page", text))
    assert formatted.count("# one\n") == formatted.count("# two\n") == 1
    assert "32 second=1" in formatted
    assert format_text(Source("page", formatted)) == formatted


SHARED_BY_ONE = """
language 1
block a(kernel) { conv kernel }
block b(expand) { conv 1x1 -> round8(cin * expand)  conv 1x1 }
hyperspace h {
  input 32
  elastic stage1 { a { kernel 3, 5 }  b { expand 1, 2 }  width 8, 16  shared expand }
}
space s of h { stage1 { a } }
"""


def test_the_flat_page_of_a_space_without_the_block_that_shared() -> None:
    """`shared expand` of a hyperspace says nothing in a space whose block has no expand."""
    space = item_of(SHARED_BY_ONE, "s")
    assert isinstance(space, Space)
    flat = item_of(resolved_text(space), "s")
    assert isinstance(flat, Space)
    assert space_identity(flat) == space_identity(space)


def test_what_never_ends_is_read_within_bounds() -> None:
    result = run("which", "/dev/zero")
    assert result.exit_code == 2
    assert result.stderr.startswith("error[too-large]: /dev/zero is larger than")
