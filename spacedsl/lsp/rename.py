"""Everywhere that a name is written, and what another name would change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from spacedsl.diagnostics import fault
from spacedsl.lang.page import Page
from spacedsl.lang.parameters import SIZES, has_meaning
from spacedsl.lsp.cursor import at, tokens_of
from spacedsl.lsp.names import ITEMS, Name, local, meaning
from spacedsl.lsp.project import is_library, path_of
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.lexer import is_name
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span
from spacedsl.vocabulary import SHORT


class Occurrence(NamedTuple):
    """A span in a file."""

    file: Path
    span: Span


class Change(NamedTuple):
    """`text` instead of what is at `place`."""

    place: Occurrence
    text: str


def name_at(page: Page, offset: int) -> tuple[Name, Span] | None:
    """What the word at an offset names, and where that word is."""
    found = at(page.tree, offset)
    if found is None:
        return None
    path, token = found
    name = meaning(page, path, token)
    return (name, token.span) if name else None


def references(name: Name, pages: Iterable[Page]) -> Iterator[Occurrence]:
    """Every place that names the same, its definition too."""
    return (Occurrence(path_of(page), token.span) for page, token in _uses(name, pages))


def _uses(name: Name, pages: Iterable[Page]) -> Iterator[tuple[Page, Token]]:
    short = {letter for letter, long in SHORT.items() if long == name.text}
    seen: set[Path] = set()
    for page in pages:
        path = path_of(page)
        if path in seen or (name.text not in page.source.text and not short):
            continue
        seen.add(path)
        for above, token in tokens_of(page.tree):
            alike = token.text == name.text or token.text[:1] in short
            if alike and meaning(page, above, token) == name:
                yield page, token


def rename(name: Name, new: str, pages: Iterable[Page]) -> tuple[Change, ...]:
    """What has to change for `name` to be called `new`. Raises `SpaceError` where that cannot
    be: no name, a name that is taken, a page of the library."""
    if not is_name(new):
        raise fault("bad-name", f"`{new[:40]}` cannot be a name: letters, digits, _ and -")
    if is_library(name.file):
        raise fault(
            "bad-name",
            f"`{name.text}` is defined in the library ({name.file.name}), which is not changed",
            help="copy the definition into a page of your own",
        )
    _check_free(name, new)
    found = list(_uses(name, pages))
    for page, _ in found:
        _check_page(name, new, page)
    return tuple(
        Change(Occurrence(path_of(page), token.span), _replacement(name, token, new))
        for page, token in found
    )


def _check_page(name: Name, new: str, page: Page) -> None:
    """Raises `SpaceError` where `new` would mean something else in a page, or the page cannot be
    changed or not be read for sure."""
    path = path_of(page)
    if is_library(path):
        message = f"`{name.text}` is used in the library ({path.name}), which is not changed"
        raise fault("bad-name", message)
    if page.found.broken_at or page.broken:
        raise fault("syntax", f"{path.name} has syntax errors; mend them first")
    if path == name.file or name.kind not in ITEMS:
        return
    if new in page.items or (name.kind == "block" and page.knows_block(new)):
        raise fault("bad-name", f"`{new}` already means something in {path.name}")
    if name.file not in map(path_of, page.uses):
        message = f"{path.name} finds `{name.text}` by the name of its file"
        help = f'write `use "{name.file.name}"` there, then rename'
        raise fault("bad-name", message, help=help)


def _check_free(name: Name, new: str) -> None:
    """Raises `SpaceError` where `new` means something already."""
    page = name.page
    if name.kind in ITEMS:
        taken = new in page.items
    elif name.kind == "stage":
        taken = any(
            new in [n.token("NAME").text for n in item.all("stage")]
            for item in page.tree.all("space")
            if name.node in item.all("stage")
        )
    else:
        block = _block_of(name)
        meant = new in SIZES or new in ACTIVATIONS or has_meaning(new)
        taken = meant or (block is not None and local(page, block, new) is not None)
    if taken and new != name.text:
        raise fault("bad-name", f"`{new}` already means something there")


def _block_of(name: Name) -> Node | None:
    blocks = name.page.tree.all("block")
    spans = (b for b in blocks if b.span.start <= name.span.start < b.span.end)
    return next(spans, None)


def _replacement(name: Name, token: Token, new: str) -> str:
    """`k3` becomes `new=3`; a parameter that gets a short name is written long all the same."""
    if token.text == name.text:
        return new
    return f"{new}={token.text[1:]}"
