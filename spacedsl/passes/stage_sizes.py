"""The sizes of the maps between stages, which no choice of a network changes."""

from __future__ import annotations

from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.operators.size import Size
from spacedsl.passes.bind import subnet_sites


def stage_sizes(space: Space, resolution: Size) -> tuple[Size, ...]:
    """The size of every stage's input at `resolution` pixels, from the smallest subnet's sites."""
    sites = subnet_sites(smallest(space, resolution))
    return tuple(stage[0].size for stage in sites)
