"""Lower and check the `pyramid` of `taps`, and make its stages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from operator import floordiv, mul

from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space, with_pyramid
from spacedsl.lang.models import MAX_RESOLUTION, MAX_WIDTH
from spacedsl.lang.report import Mend, Report
from spacedsl.lang.taps import check_taps
from spacedsl.lang.values import values_said, whole
from spacedsl.operators.size import Size, as_map, by_side
from spacedsl.passes.bind import output_size, subnet_sites
from spacedsl.passes.taps import output_strides
from spacedsl.syntax.tree import Node, Token

Level = tuple[Size, Size]
"""The stride of a tap, and the size of its map in pixels."""


def lower_pyramid(node: Node | None, parent: Space | None, report: Report) -> int:
    """The width that a page's `taps` say, else the parent's; 0 without a pyramid."""
    if node is None:
        return parent.pyramid if parent else 0
    return sum(whole(token, report, "width", 1, MAX_WIDTH) for token in node.tokens("INT"))


def laid_out(space: Space, node: Node, report: Report) -> Space:
    """The space with the stages of its pyramid, if it has one. Reports taps that do not fit
    (`check_taps`), and a resolution at which a level is not as large as the next coarser one
    upsampled. Bodies are known to fit."""
    check_taps(space, node, report)
    said = node.first("taps")
    if said is None or not space.pyramid or report.found:
        return space
    ends = {stride: i for i, stride in enumerate(output_strides(space)) if stride is not None}
    sizes = values_said(node.get("input").get("values"), report, ("resolution", MAX_RESOLUTION))
    for resolution, at in sizes:
        wrong = _unequal(space, resolution, ends)  # type: ignore[arg-type]
        if wrong is not None:
            _refuse(wrong, (resolution, at), space.taps[-1], said, report)  # type: ignore[arg-type]
            return space
    return with_pyramid(space, space.pyramid, ends)


def _unequal(
    space: Space, resolution: Size, ends: Mapping[Size, int]
) -> tuple[Level, Level] | None:
    """The first two levels, finer first, of which the coarser one upsampled is not as large. Every
    stride is a multiple of those before it."""
    sites = subnet_sites(smallest(space, resolution))
    levels = [(stride, output_size(sites[ends[stride]][-1])) for stride in space.taps]
    for finer, coarser in pairwise(levels):
        if by_side(mul, coarser[1], by_side(floordiv, coarser[0], finer[0])) != finer[1]:
            return finer, coarser
    return None


def _refuse(
    levels: tuple[Level, Level],
    image: tuple[Size, Node | Token],
    stride: Size,
    said: Node,
    report: Report,
) -> None:
    (finer, size), (coarser, small) = levels
    resolution, at = image
    large = by_side(mul, small, by_side(floordiv, coarser, finer))
    message = (
        f"at {resolution} px the map of stride {coarser} is {as_map(small)}: upsampled it is "
        f"{as_map(large)}, and that of stride {finer} is {as_map(size)}"
    )
    near = by_side(lambda side, by: max(by, round(side / by) * by), resolution, stride)
    labels = [("the pyramid is here", said)]
    if near == resolution:
        help = "a window that is not padded makes a map too small: leave `valid` out"
        report.error("bad-taps", message, said, help, labels=[("the resolution is here", at)])
        return
    plain = isinstance(at, Token)
    fixes: list[Mend] = [(f"write {near}", at.span, str(near))] if plain else []
    help = f"a pyramid needs resolutions that are multiples of {stride}, such as {near}"
    report.error("bad-taps", message, at, help, fixes, labels)
