"""Lists and sentences as people read them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 5) -> str:
    """All names, or the first ones and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def wrapped(text: str, hanging: str = "") -> str:
    """A sentence on lines of the terminal's width, broken between words; the lines after the first
    begin with `hanging`. Where the output is no terminal, on one line."""
    if not sys.stdout.isatty():
        return text
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, subsequent_indent=hanging, break_long_words=False)
