"""What the lowering of an item asks of the page that it stands in.

Items name other items. Only pages know which ones are meant; the modules that lower items know
pages by this protocol, so that none of them imports the module that reads pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from spacedsl.ir.item import Item
from spacedsl.lang.report import Report
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source


@dataclass
class Budget:
    """`checks`: how many blocks were bound to see whether they fit, over all pages of a run."""

    checks: int = 0


class Scope(Protocol):
    """A page, as the place where names have their meaning."""

    @property
    def source(self) -> Source:
        """Its text."""

    @property
    def folder(self) -> Path:
        """Where the files that it names are looked for first."""

    @property
    def items(self) -> Mapping[str, Node]:
        """What it defines, by name."""

    @property
    def use_path(self) -> str:
        """How the page that uses it says its path, "" for the page that was asked for."""

    @property
    def fits(self) -> bool:
        """Whether the bodies of its spaces are known to fit."""

    @property
    def budget(self) -> Budget:
        """Shared by all pages of a run."""

    def get(self, name: str) -> Item:
        """The item `name` of this page, lowered. Raises `SpaceError`."""

    def find(
        self, name: Token, what: str, rule: str, report: Report, offered: Sequence[str] = ()
    ) -> Item:
        """The item of grammar rule `rule` that `name` means here. `what` says its kind in an error;
        `offered`: the names that would do there, where not all do. Raises `Abandon`."""

    def knows_block(self, name: str) -> bool:
        """Whether this page or one that it uses defines block `name`."""

    def holders(self, name: str, rule: str) -> Sequence[Self]:
        """The pages that `name` may mean an item of."""

    def find_file(self, said: str) -> Path | None:
        """A file that this page names by its path: beside it, else in the library."""

    def names_beside(self) -> list[str]:
        """The names of the pages that can be named without a `use`."""
