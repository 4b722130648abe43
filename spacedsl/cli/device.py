"""Profiling as commands show it, and the target that a search asks for, profiled where need be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.cli.progress import counting

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.ir.target import Target
    from spacedsl.targets.profiler import Progress as Report


@contextmanager
def profile_bar(name: str, budget_s: float, *, quiet: bool) -> Iterator[Report]:
    """A bar on standard error with what is measured so far."""
    with counting(f"profiling {name}", budget_s, quiet=quiet) as bar:

        def show(seconds: float, nets: int, kernels: int) -> None:
            bar(min(seconds, budget_s), f"{nets:,} networks", f"{kernels:,} kernels")

        yield show


def ready_target(name: str, space: Space, *, quiet: bool) -> Target:
    """A target whose device knows what members of `space` cost: where that is this machine and it
    does not yet, it is profiled. Raises `SpaceError`."""
    from spacedsl.targets.device import ONE_SPACE_S, lacks, outermost

    target = api.load_target(name)
    if lacks(target, space):
        from spacedsl.targets.profiler import profile

        with profile_bar(target.name, ONE_SPACE_S, quiet=quiet) as show:
            profile(target, [outermost(space)], ONE_SPACE_S, show)
    return target
