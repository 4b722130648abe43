"""Profiling as commands show it, and the target that a search asks for, profiled where need be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.cli.progress import progress
from spacedsl.hosts.host import HERE, Host

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.ir.target import Target
    from spacedsl.targets.profiler import Progress, Reached


@contextmanager
def profile_bar(target: Target, budget_s: float, on: Host = HERE) -> Iterator[Progress]:
    """Progress of a profile with what is measured so far; says beforehand what it is and how long
    it takes, and names a profile of an earlier version, which is of no use."""
    from spacedsl.targets.profile_cache import header_of, load_profile, outdated_profile

    header = header_of(target, on)
    old = outdated_profile(header)
    if old is not None and load_profile(header) is None:
        print(
            f"{old} is of an earlier version, by other kernels than those of a plain session: "
            "it is not used, and measured again",
            file=sys.stderr,
        )
    note = f"kernels of {on.name}, inside real networks, once; about {_minutes(budget_s)}"
    with progress(f"profiling {target.name}", note) as show:

        def shown(reached: Reached) -> None:
            missing = f", {reached.missing:,} to cover" if reached.missing else ""
            counts = f"{reached.networks} networks, {reached.kernels:,} kernels"
            show(reached.seconds / budget_s, counts + missing)

        yield shown


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.2g} minutes"


def ready_target(name: str, space: Space) -> Target:
    """A target whose device knows what members of `space` cost: where that is this machine and it
    does not yet, it is profiled until it does. Raises `SpaceError`, also where that takes too
    long."""
    from spacedsl.targets.device import MOST_S, ONE_SPACE_S, lacks, outermost

    target = api.load_target(name)
    if lacks(target, space):
        from spacedsl.targets.profiler import profile

        with profile_bar(target, ONE_SPACE_S) as show:
            profile(target, [outermost(space)], ONE_SPACE_S, show, most_s=MOST_S)
    return target
