"""Peak memory of activations in 8 bits: a byte an element, of one image.

Alive at a time are what a layer reads, what it writes, and what another path or a pyramid still
needs. Sums, activations, dropout and the scaling of SE are done in place. Weights are not counted,
and neither are maps that were handed out (`taps`): they are their reader's."""

from __future__ import annotations

from collections.abc import Sequence

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer
from spacedsl.operators.operators import words_where
from spacedsl.operators.size import Size, area
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import Beside, Bound, Concat, Residual, TopDown

IN_PLACE = words_where(in_place=True)


def bound_memory(site: Site, bound: tuple[Bound, ...]) -> int:
    """Bytes that a block, bound in its place, needs."""
    return max(moments(site, bound))


def moments(site: Site, bound: tuple[Bound, ...]) -> list[int]:
    """Bytes alive at each moment of a block, bound in its place."""
    return _moments(bound, site.cin * area(site.size), 0)[0]


def subnet_memory(subnet: Subnet) -> int:
    """Bytes that a network needs. Raises `BindError`."""
    sites = subnet_sites(subnet)
    waiting = waits(subnet.of, [stage[0].size for stage in sites])
    return max(
        kept + bound_memory(site, site.bind())
        for stage, kept in zip(sites, waiting, strict=True)
        for site in stage
    )


def waits(space: Space, sizes: Sequence[Size]) -> list[int]:
    """Bytes that wait for the pyramid while each stage of a space runs, whose input is of `sizes`
    in pixels; what the pyramid itself reads is counted there."""
    made = [
        space.pyramid * area(size) if stage.level == "lateral" else 0
        for stage, size in zip(space.stages, sizes, strict=True)
    ]
    return [
        0 if stage.level == "pyramid" else sum(made[:i]) for i, stage in enumerate(space.stages)
    ]


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
        elif isinstance(item, Beside):
            found.append(alive + read + item.conv.cout * area(item.conv.out_size))
            continue
        elif isinstance(item, TopDown):
            found += _top_down(item)
            written = 0
        elif isinstance(item, Residual):
            inside, written = _moments(item.main, read, alive, held=True)
            aside, _ = _moments(item.shortcut, read, alive + written, held=shared)
            found += [*inside, *aside]
        else:
            inside, written = _side_by_side(item, read, alive, shared)
            found += inside
        read = written
    return found, read


def _top_down(item: TopDown[Layer]) -> list[int]:
    """Bytes alive in turn of a pyramid, whose outputs are handed out. The finer levels wait."""
    sums = [level[-1].cin * area(level[-1].size) for level in item.levels]
    found: list[int] = []
    for i, mine in enumerate(sums):
        later = sum(sums[i + 1 :])
        if i:  # the sum before it, upsampled, and what waits, which it is added to
            found.append(sums[i - 1] + 2 * mine + later)
        found.append(2 * mine + later)  # the sum and the output
    return found


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
