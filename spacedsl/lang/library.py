"""The library, which is the folder of pages that come with spacedsl, and the text of pages."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.syntax.parser import MAX_CHARACTERS
from spacedsl.text import Source

SUFFIX = ".space"
MAX_BYTES = 4 * MAX_CHARACTERS


@cache
def library() -> Path:
    """The folder of the library: inside the installed package, or beside it in a checkout."""
    installed = Path(str(resources.files("spacedsl") / "spaces"))
    return installed if installed.is_dir() else Path(__file__).parents[2] / "spaces"


def in_library(file: Path) -> bool:
    """Whether a resolved path is one of the library's."""
    return file.is_relative_to(library().resolve())


def read_source(path: Path, name: str | None = None) -> Source:
    """A page's text. Raises `SpaceError` where it cannot be read, is not UTF-8 or too large."""
    return decode(read_bounded(path, MAX_BYTES), name or str(path))


def decode(data: bytes, shown: str) -> Source:
    """A page's text from its bytes. Raises `SpaceError` where they are not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{shown} is not text: byte {error.start} is not UTF-8"
        raise fault("not-text", message, help="a page is a UTF-8 text file") from None
    return Source(shown, text)


def shown_path(path: Path, beside: Path, *, in_library: bool) -> str:
    """How to name a page that was found from another one, in the folder `beside`: as a user writes
    it from there. `in_library`: the other page is one of the library."""
    root = library()
    outside = in_library or not beside.is_relative_to(root)
    if path.is_relative_to(root) and outside:
        return f"<library>/{path.relative_to(root).as_posix()}"
    return str(path)
