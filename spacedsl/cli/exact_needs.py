"""Says beforehand what an exact Q-T search takes, where it takes long."""

from __future__ import annotations

import typer

from spacedsl.ir.space import Space

LONG = 20.0
"""Seconds of processor time that need no word."""


def say_needs(hyper: Space, *, paired: bool) -> None:
    """A line on stderr. Raises `SpaceError` where a search, or with `paired` an optimum, would take
    too much memory."""
    from spacedsl.search.exact.size import needs, require_room

    require_room(hyper, paired=paired)
    found = needs(hyper)
    if found.seconds > LONG:
        typer.echo(f"preparing all stages takes {found}", err=True)
