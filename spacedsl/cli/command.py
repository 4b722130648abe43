"""A command that says what to type where an option is missing."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from spacedsl.cli.boundary import UsageError


class Command(TyperCommand):
    """Says what a missing option is for, and which word it may have been meant to stand before."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As its base class. Raises `UsageError`."""
        words = [*args]
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            option = getattr(error, "param", None)
            if option is None or not option.opts[0].startswith("--") or option.name in ctx.params:
                raise
            name = option.opts[0]
            alone = self._alone(ctx, words)
            what = f"Write `{name} {alone[0]}`." if alone else option.help or ""
            raise UsageError(f"Missing option '{name}'. {what}".rstrip()) from None

    def _alone(self, ctx: Any, words: list[str]) -> list[str]:
        """The words that no option and no argument takes."""
        try:
            _, rest, _ = self.make_parser(ctx).parse_args(words)
        except UsageError:
            return []
        return list(rest)


def told(group: typer.Typer) -> typer.Typer:
    """A group of commands, each of which says so."""
    for registered in group.registered_commands:
        registered.cls = Command
    return group
