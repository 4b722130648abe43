"""What installed packages add to a table of ours, by entry points."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol, TypeVar


class Named(Protocol):
    """A record that knows its name."""

    @property
    def name(self) -> str:
        """As people write it."""


@dataclass(frozen=True)
class Opening:
    """A record that is asked for as NAME or NAME:PLACE. `usage` is how it is written, in brackets
    what may be left out."""

    name: str
    usage: str

    def fits(self, where: str) -> bool:
        """Whether `where` may stand behind the colon; "" is nothing."""
        before, colon, _ = self.usage.partition(":")
        return not where if not colon else bool(where) or "[" in before


T = TypeVar("T", bound=Named)


def registered(
    group: str,
    kind: type[T],
    built_in: Container[str],
    words: tuple[str, str],
    refuse: Callable[[str, str], Exception],
) -> dict[str, T]:
    """The records of `kind` that packages register in an entry point `group`, by name. `words`: how
    one is called in messages, and what another thing is; `refuse` makes the error of one that
    cannot be loaded, is none or has a name that is taken, from its message and help."""
    what, none = words
    found: dict[str, T] = {}
    for point in metadata.entry_points(group=group):
        package = point.dist.name if point.dist else "a package"
        help = f"update {package}, or uninstall it"
        try:
            record = point.load()
        except Exception as error:  # a package's import may raise anything
            message = f"{what} `{point.name}` of {package} cannot be loaded: {error}"
            raise refuse(message, help) from None
        if not isinstance(record, kind) or record.name != point.name:
            raise refuse(f"what {package} registers as {what} `{point.name}` is {none}", help)
        if record.name in built_in or record.name in found:
            message = f"{package} registers {what} `{point.name}`, which there is already"
            raise refuse(message, help)
        found[record.name] = record
    return found
