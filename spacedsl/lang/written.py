"""Pages that are written to be read from the folder that they stand in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.load import split_item
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.text import Source


def page_in(
    folder: Path, item: Space | Subnet, origin: str | None, comments: Sequence[str] = ()
) -> str:
    """The page of `item` for `folder`. It has a `use` of `origin`, the page that defines what
    `item` is `of`, where the name alone would not find the same from there."""
    page = write(item, comments=comments)
    path = Path(split_item(origin or "")[0])
    if _reads_as(page, folder, item) or not path.is_file():
        return page
    use = Path(os.path.relpath(path, folder)).as_posix()
    return write(item, comments=comments, uses=(use,))


def _reads_as(page: str, folder: Path, item: Space | Subnet) -> bool:
    try:
        found = Loader().parse(Source(item.name, page), folder).get(item.name)
    except SpaceError:
        return False
    return found == item
