"""Pages that commands read from standard input."""

from __future__ import annotations

import sys

from spacedsl.lang.library import MAX_BYTES, decode
from spacedsl.text import Source

STDIN = "-"
"""A page on standard input."""


def read_stdin() -> Source:
    """The page on standard input. Raises `SpaceError` where it is not UTF-8 or too large."""
    return decode(sys.stdin.buffer.read(MAX_BYTES + 1), STDIN)
