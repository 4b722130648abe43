"""Where what is under the cursor is defined."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from spacedsl.lang.page import Page
from spacedsl.lsp.cursor import at
from spacedsl.lsp.names import meaning
from spacedsl.lsp.project import path_of
from spacedsl.text import Span


class Definition(NamedTuple):
    """A span in a file of this text."""

    file: Path
    text: str
    span: Span


def define(page: Page, offset: int) -> Definition | None:
    """The definition of a name, or the page that a `use` brings."""
    found = at(page.tree, offset)
    if found is None:
        return None
    path, token = found
    if token.type == "STRING" and path[-1].rule == "use":
        used = next((p for p in page.uses if p.use_path == token.text[1:-1]), None)
        return Definition(path_of(used), used.source.text, Span(0, 0)) if used else None
    name = meaning(page, path, token)
    return Definition(name.file, name.page.source.text, name.span) if name else None
