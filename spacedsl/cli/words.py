"""Lists and sentences as people read them."""

from __future__ import annotations

import shutil
import sys
import textwrap


def wrapped(text: str, hanging: str = "") -> str:
    """A sentence on lines of the terminal's width, broken between words; the lines after the first
    begin with `hanging`. Where the output is no terminal, on one line."""
    if not sys.stdout.isatty():
        return text
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, subsequent_indent=hanging, break_long_words=False)
