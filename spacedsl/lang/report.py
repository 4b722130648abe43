"""Collects diagnostics of one page, so that a run reports every independent error."""

from __future__ import annotations

from collections.abc import Iterable

from spacedsl.diagnostics import Diagnostic, SpaceError, place, suggest
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source


class Abandon(Exception):
    """This item is already reported; its caller goes on with the next one."""


class Report:
    """Diagnostics of one source, in order of discovery."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def error(self, code: str, message: str, at: Node | Token, help: str | None = None) -> None:
        """Note an error at a node or token and go on."""
        self.found.append(Diagnostic(code, message, place(self.source, at.span), help))

    def fail(self, code: str, message: str, at: Node | Token, help: str | None = None) -> Abandon:
        """Note an error; to be raised, so that nothing is built on what is wrong."""
        self.error(code, message, at, help)
        return Abandon()

    def unknown(self, what: str, name: Token, known: Iterable[str]) -> Abandon:
        """Note an unknown name, with the one that was probably meant or all there are."""
        known = sorted(set(known))
        close = suggest(name.text, known)
        listed = f"known: {', '.join(known)}" if known else None
        help = f"did you mean `{close}`?" if close else listed
        return self.fail(f"unknown-{what}", f"unknown {what} `{name.text}`", name, help)

    def raise_if_any(self) -> None:
        """Raises `SpaceError` with everything found, in order of the text."""
        if self.found:
            key = lambda d: (d.place.line, d.place.column) if d.place else (0, 0)  # noqa: E731
            raise SpaceError(sorted(self.found, key=key))
