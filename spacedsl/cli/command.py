"""A command that says what to type where an option is missing, and which of two counts."""

from __future__ import annotations

import re
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from spacedsl.cli.boundary import UsageError

PLAIN = (
    (re.compile("^Value error, "), ""),
    (re.compile("^Input should be a valid integer.*"), "it is no whole number."),
    (re.compile("^Input should be a valid number.*"), "it is no number."),
    (re.compile("^Input should be greater than or equal to (.*)"), r"it must be \1 or more."),
    (re.compile("^Input should be less than or equal to (.*)"), r"it must be \1 or less."),
    (re.compile("^Input should be (.*)"), r"it must be \1."),
)
"""What is said of a wrong value -> the same in plain words."""


def plain(message: str) -> str:
    """What is said of a wrong value, in plain words."""
    for pattern, words in PLAIN:
        message = pattern.sub(words, message)
    return message


class Command(TyperCommand):
    """Says what a missing option is for, which word it may have been meant to stand before, and of
    two that the last one counts."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As its base class. Raises `UsageError`."""
        words = [*args]
        try:
            rest = super().parse_args(ctx, args)
        except UsageError as error:
            option = getattr(error, "param", None)
            missing = hasattr(error, "param_type")  # of what is missing, and of nothing else
            if option is None or not missing or not option.opts[0].startswith("--"):
                error.message = plain(error.message)  # type: ignore[attr-defined]
                raise
            name = option.opts[0]
            alone = self._alone(ctx, words)
            what = f"Write `{name} {alone[0]}`." if alone else option.help or ""
            raise UsageError(f"Missing option '{name}'. {what}".rstrip()) from None
        if not ctx.resilient_parsing:  # a shell completes no warning
            self._warn_of_two(ctx, words)
        return rest

    def _warn_of_two(self, ctx: Any, words: list[str]) -> None:
        """Of an option that takes one value the last one counts, as what is added to a line of
        options is meant."""
        _, _, order = self.make_parser(ctx).parse_args(words)
        for param in dict.fromkeys(order):
            many = getattr(param, "multiple", True) or getattr(param, "is_flag", True)
            if not many and order.count(param) > 1:
                line = f"warning: `{param.opts[0]}` stands twice, and the last one counts"
                print(line, file=sys.stderr)

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
