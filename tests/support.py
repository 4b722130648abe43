"""What tests share: the library's pages, loading from text, the published data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spacedsl.ir.item import Item
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import read_source
from spacedsl.lang.page import Loader, Page
from spacedsl.text import Source

ROOT = Path(__file__).parents[1]
SPACES = ROOT / "spaces"
SHARED = ROOT.parent / "shared"
LUT = SHARED / "data" / "spaceevo_block_lut"

PAGES = sorted(SPACES.rglob("*.space"))

REQUIRE_SHARED = "SPACEDSL_REQUIRE_SHARED" in os.environ
"""Set where the tables must be there: tests that need them then fail instead of skipping."""

needs_shared = pytest.mark.skipif(
    not LUT.is_dir() and not REQUIRE_SHARED,
    reason="the published tables are not beside the repository (../shared)",
)


def page_id(path: Path) -> str:
    """A library page as test ids name it."""
    return path.relative_to(SPACES).with_suffix("").as_posix()


def read_page(name: str) -> Source:
    """A page of the library, by its path without suffix."""
    return read_source(SPACES / f"{name}.space")


def page_of(text: str, folder: Path = SPACES) -> Page:
    """A page from text, as if it stood in `folder`."""
    return Loader().parse(Source("page.space", text), folder)


def item_of(text: str, name: str, folder: Path = SPACES) -> Item:
    return page_of(text, folder).get(name)


_LIBRARY = Loader()
"""One for all, so that a page is read once, and its items are lowered once."""


def library_page(name: str) -> Page:
    """A page of the library, by its path without suffix."""
    return _LIBRARY.load(SPACES / f"{name}.space")


def library_item(name: str) -> Item:
    """The last item of a library page: its hyperspace, space, model or target."""
    page = library_page(name)
    return page.get(next(n for n in reversed(page.names) if page.kind(n) != "block"))


def library_space(name: str) -> Space:
    found = library_item(name)
    assert isinstance(found, Space)
    return found


def library_model(name: str) -> Subnet:
    found = library_item(name)
    assert isinstance(found, Subnet)
    return found
