"""What the command line says of itself: the first screen, the commands by group, examples."""

from __future__ import annotations

import os
import sys
from typing import Any

from spacedsl.cli.commands import FIRST_STEPS, GROUPS, examples

TITLE = "Search spaces for INT8 networks as pages of text."

BOLD, FAINT, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def coloured() -> bool:
    """Whether help is read on a terminal that wants styles (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def styled(text: str, style: str) -> str:
    """`text` in a style, where it is read on a terminal."""
    return f"{style}{text}{PLAIN}" if coloured() else text


def first_screen() -> str:
    """What `spacedsl` alone says: what to do first."""
    lines = [TITLE, "", styled("Five things to do first:", BOLD)]
    for command, purpose in FIRST_STEPS:
        lines += [f"  {command}", f"      {styled(purpose, FAINT)}"]
    lines += ["", "`spacedsl --help` lists all commands, `spacedsl COMMAND --help` says how each"]
    lines += ["is used, with examples."]
    return "\n".join(lines)


def write_groups(formatter: Any) -> None:
    """The commands by group into a help text."""
    for heading, commands in GROUPS.items():
        with formatter.section(heading):
            formatter.write_dl([(name, command.line) for name, command in commands.items()])


def epilog(path: str) -> str | None:
    """The examples of a command, for the end of its help text."""
    lines = examples(path)
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines) if lines else None
