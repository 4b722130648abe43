"""Peak memory of activations in 8 bits: a byte an element, of one image.

Alive at a time are what a layer reads, what it writes, and what another path still needs. Sums,
activations, dropout and the scaling of SE are done in place. Weights are not counted, and neither
are maps that were handed out (`taps`): they are their reader's."""

from __future__ import annotations

from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer
from spacedsl.operators.operators import words_where
from spacedsl.operators.size import area
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import Bound, Concat, Residual

IN_PLACE = words_where(in_place=True)


def bound_memory(site: Site, bound: tuple[Bound, ...]) -> int:
    """Bytes that a block, bound in its place, needs."""
    return max(moments(site, bound))


def moments(site: Site, bound: tuple[Bound, ...]) -> list[int]:
    """Bytes alive at each moment of a block, bound in its place."""
    return _moments(bound, site.cin * area(site.size), 0)[0]


def subnet_memory(subnet: Subnet) -> int:
    """Bytes that a network needs. Raises `BindError`."""
    return max(bound_memory(s, s.bind()) for stage in subnet_sites(subnet) for s in stage)


def _moments(
    bound: tuple[Bound, ...], read: int, kept: int, held: bool = False
) -> tuple[list[int], int]:
    """Bytes alive in turn, and of the output, of layers that read `read` bytes while `kept` others
    are needed later; `held`: those that the first one reads are, too."""
    found, start = [kept + read], read
    for i, item in enumerate(bound):
        shared = held and i == 0
        alive = kept + (start if held and i else 0)
        if isinstance(item, Layer):
            written = item.cout * area(item.out_size)
            if shared or item.kind not in IN_PLACE:
                found.append(alive + read + written)
            if item.kind == "se":
                found.append(alive + read + item.cin + item.squeeze)
        elif isinstance(item, Residual):
            inside, written = _moments(item.main, read, alive, held=True)
            aside, _ = _moments(item.shortcut, read, alive + written, held=shared)
            found += [*inside, *aside]
        else:
            inside, written = _side_by_side(item, read, alive, shared)
            found += inside
        read = written
    return found, read


def _side_by_side(item: Concat[Layer], read: int, kept: int, held: bool) -> tuple[list[int], int]:
    """As `_moments`, of paths whose channels are put one behind the other: what each made is kept
    until then, and what they read as long as one of them needs it."""
    found: list[int] = []
    paths = [path for path in item.branches if path]
    held = held or len(paths) < len(item.branches)
    made = 0
    for i, path in enumerate(paths, start=1):
        inside, written = _moments(path, read, kept + made, held=held or i < len(paths))
        found += inside
        made += written
    written = item.join.cout * area(item.join.out_size)
    return [*found, kept + made + (read if held else 0) + written], written
