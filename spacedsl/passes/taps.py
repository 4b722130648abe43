"""Taps: the maps that are the outputs of a network without a head.

A page names them by their strides, image pixels per pixel of the map. Of each stride the last map
is meant: what the last stage that ends at it hands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import mul

from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Size, as_map, by_side, pair
from spacedsl.passes.bind import output_size, subnet_sites
from spacedsl.passes.bound import Beside, Bound, TopDown, last_layer
from spacedsl.passes.program import OUT, Address


def output_strides(space: Space) -> tuple[Size | None, ...]:
    """The stride that every stage ends at, the same for all networks of a space; None from a
    global pool on, and of a pyramid, which ends at several. Raises `BindError`."""
    found: list[Size | None] = []
    stride: Size | None = 1
    for sites in subnet_sites(smallest(space, space.resolutions[-1])):
        own = [_stride(site.bind()) for site in sites]
        stride = _product(stride, *own)
        found.append(stride)
    return tuple(found)


def _stride(bound: tuple[Bound, ...]) -> Size | None:
    """By what layers in a row divide the size; None where one of them pools all of it, or ends at
    several."""
    return _product(*(_stride_of(item) for item in bound))


def _stride_of(item: Bound) -> Size | None:
    if isinstance(item, Beside):
        return 1
    if isinstance(item, TopDown):
        return None
    if not isinstance(item, Layer):
        return _stride(item.branches[0])
    return None if item.kind in ("pool", "linear") else item.stride


def _product(*strides: Size | None) -> Size | None:
    total: Size = 1
    for stride in strides:
        if stride is None:
            return None
        total = by_side(mul, total, stride)
    return total


def tapped(space: Space) -> dict[str, int]:
    """The outputs of a space with taps: name, and position of the stage that ends in it, in
    order; none for another space."""
    if not space.taps:
        return {}
    last = {stride: i for i, stride in enumerate(output_strides(space))}
    return {f"stride{stride}": last[stride] for stride in space.taps}


def places(steps: Iterable[Address], taps: Mapping[str, int]) -> dict[str, int]:
    """How many of some steps in a row, at these places, stand before each tap (`tapped`): the last
    of them makes its map. Of a pyramid it is the convolution of its level."""
    found = list(steps)
    outs = [i for i, (_, _, slot) in enumerate(found, start=1) if f".{OUT}" in slot]
    if outs:
        return dict(zip(taps, reversed(outs), strict=True))
    stages = [stage for stage, _, _ in found]
    return {name: sum(s <= position for s in stages) for name, position in taps.items()}


def tap_shapes(subnet: Subnet) -> dict[str, tuple[int, int, int]]:
    """(channels, height, width) of a network's taps by name. Raises `BindError`."""
    sites = subnet_sites(subnet)
    found: dict[str, tuple[int, int, int]] = {}
    for name, position in tapped(subnet.of).items():
        last = sites[position][-1]
        size = output_size(last)
        found[name] = (subnet.of.pyramid or last.end, *pair(size))
    return found


def map_output(subnet: Subnet) -> tuple[int, Size] | None:
    """Channels and size of what a network ends in where that is a map, None where it is logits,
    1 x 1. Raises `BindError`."""
    sites = [site for stage in subnet_sites(subnet) for site in stage]
    layer = next(last_layer(bound[-1]) for site in reversed(sites) if (bound := site.bind()))
    return (layer.cout, layer.out_size) if layer.out_size != 1 else None


def lacks_head(subnet: Subnet) -> tuple[str, str] | None:
    """What is wrong with a network that ends in a map and names no taps, and the mend; None for
    another one. Raises `BindError`."""
    ends = None if subnet.of.taps else map_output(subnet)
    if ends is None:
        return None
    width, size = ends
    message = f"`{subnet.name}` ends in a map of {width} x {as_map(size)}, not in logits"
    stride = output_strides(subnet.of)[-1]
    help = (
        "end it in a head, e.g. `head { pool  linear -> 1000 }`, or name the maps that are its "
        f"outputs: `taps stride {stride}`"
    )
    return message, help
