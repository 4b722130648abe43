"""Pages that commands read: those of a folder, and from standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from spacedsl.diagnostics import fault
from spacedsl.lang.library import MAX_BYTES, SUFFIX, decode
from spacedsl.text import Source

STDIN = "-"
"""A page on standard input."""


def read_stdin() -> Source:
    """The page on standard input. Raises `SpaceError` where it is not UTF-8 or too large."""
    return decode(sys.stdin.buffer.read(MAX_BYTES + 1), STDIN)


MOST_FILES = 50_000
"""Of a folder that is looked through for pages."""


def named(file: str) -> Iterator[str]:
    """The pages that a word of the command line names. Raises `SpaceError` where a folder has
    none, or so many files that another one is meant; folders whose name begins with a dot, and
    links to folders, are not looked into."""
    folder = Path(file)
    if file == STDIN or not folder.is_dir():
        yield file
        return
    found: list[Path] = []
    seen = 0
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += len(folders) + len(files)
        if seen > MOST_FILES:
            message = f"{folder} has more than {MOST_FILES:,} files and folders"
            raise fault("too-large", message, "name the folder that has the pages")
        pages = (name for name in files if name.endswith(SUFFIX) and name[0] != ".")
        found += [Path(here, name) for name in pages]
    found = sorted(path for path in found if path.is_file())
    if not found:
        raise fault("empty-folder", f"there is no page (*{SUFFIX}) in {folder}")
    yield from map(str, found)
