"""Caches parsed pages and the items on them until something they depend on changes.

A server checks a page after every key. The IR knows no places, so an item whose words are the same
and whose names mean the same items as before is the same item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from spacedsl.ir.item import Item
from spacedsl.syntax.parser import Parsed, parse_any
from spacedsl.text import Source

K = TypeVar("K")
V = TypeVar("V")

MAX_ITEMS = 4096
MAX_PAGES = 64

Words = tuple[str, ...]
"""An item's tokens, and the `use` path of its page."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A name that an item depends on: what it means there, None where it is no name of that
    rule."""

    rule: str
    name: str
    item: Item | None


@dataclass
class Memo:
    """Pages parsed and items lowered without an error; the oldest are forgotten."""

    _parsed: dict[Source, Parsed] = field(default_factory=dict)
    _items: dict[Words, tuple[Item, tuple[Dependency, ...]]] = field(default_factory=dict)

    def parse(self, source: Source) -> Parsed:
        """As `parse_any`."""
        parsed = self._parsed.pop(source, None) or parse_any(source)
        _keep(self._parsed, source, parsed, MAX_PAGES)
        return parsed

    def get(self, words: Words) -> tuple[Item, tuple[Dependency, ...]] | None:
        """The item of these words and what it depends on."""
        return self._items.get(words)

    def put(self, words: Words, item: Item, depends: tuple[Dependency, ...]) -> None:
        """Keep an item."""
        self._items.pop(words, None)
        _keep(self._items, words, (item, depends), MAX_ITEMS)


def _keep(kept: dict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        del kept[next(iter(kept))]
