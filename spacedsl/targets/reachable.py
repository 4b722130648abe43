"""The kernels that members of a space can be made of, from its blocks' bodies and its shapes."""

from __future__ import annotations

from spacedsl.ir.space import Space
from spacedsl.passes.errors import BindError
from spacedsl.passes.kernels import Kernel
from spacedsl.tables.blocks import KernelCache, reachable_sites


def reachable_kernels(space: Space) -> frozenset[Kernel]:
    """The kernels of every block that an elastic stage can have, at the least and the greatest
    resolution: those between differ in size only. Other stages are in every member anyway."""
    cache = KernelCache()
    found: set[Kernel] = set()
    for site in reachable_sites(
        space, list(dict.fromkeys((space.resolutions[0], space.resolutions[-1])))
    ):
        try:
            found.update(cache.kernels(site))
        except BindError:  # no member has this block
            continue
    return frozenset(found)
