"""Lists and sentences as people read them."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import TextIO

WIDEST = 100
"""Characters of a line that are read with ease."""

KEPT = re.compile(r"#|\||    ")
"""How what is no sentence begins in Markdown: a heading, a table, code."""


def wrapped(text: str, hanging: str = "", to: TextIO | None = None) -> str:
    """A sentence on lines of the terminal's width, broken between words; the lines after the first
    begin with `hanging`. Where `to`, which is standard output unless said, is no terminal, on one
    line."""
    if not (sys.stdout if to is None else to).isatty():
        return text
    return _fill(text, max(40, shutil.get_terminal_size().columns), hanging)


def _fill(text: str, width: int, hanging: str) -> str:
    return textwrap.fill(
        text,
        width,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def filled(text: str) -> str:
    """A Markdown text whose sentences are on lines of the terminal's width, or of 80 characters."""
    width = max(40, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))
    parts = re.split(r"(^```.*?^```$|\n{2,})", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(_paragraph(part, width) for part in parts)


def _paragraph(text: str, width: int) -> str:
    if not text.strip() or text.startswith("```") or KEPT.match(text.lstrip("\n")):
        return text
    end = text[len(text.rstrip("\n")) :]
    items = re.split(r"\n(?=- )", text.strip("\n"))
    hanging = "  " if items[0].startswith("- ") else ""
    start = text[: len(text) - len(text.lstrip("\n"))]
    lines = (_fill(" ".join(item.split()), width, hanging) for item in items)
    return start + "\n".join(lines) + end
