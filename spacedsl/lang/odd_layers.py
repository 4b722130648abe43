"""Warns of layers that do something else than they seem to: patches that are read a little off,
strides where nothing is left to divide, ratios that are read as widths."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import Diagnostic, place
from spacedsl.ir.block import Se, walk
from spacedsl.ir.expr import Num
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space, Stage
from spacedsl.lang.bodytext import own_stride
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Pair, Size, as_map, pair, size_of
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.syntax.tree import Node
from spacedsl.text import Source

Sites = tuple[tuple[Site, ...], ...]

MOST_RATIO = 16
"""Ratios of squeezes are at most that, as a rule."""


def layer_warnings(space: Space, node: Node, source: Source) -> Iterator[Diagnostic]:
    """Of stages, as the page writes them, at the sizes of the smallest network."""
    said = {stage.token("NAME").text: stage for stage in node.all("stage")}
    sites = subnet_sites(smallest(space, space.resolutions[-1]))
    idle = _idle(space, sites)
    for stage, blocks in zip(space.stages, sites, strict=True):
        if stage.name in said:
            yield from _patches(blocks, said[stage.name], source)
            yield from _squeezes(stage, blocks, said[stage.name], source)
            if stage.name in idle:
                yield from _strides(*idle[stage.name], said[stage.name], source)


def _patches(blocks: tuple[Site, ...], stage: Node, source: Source) -> Iterator[Diagnostic]:
    """Of windows whose steps are as long as they are and whose padding puts pixels before the map:
    every patch begins early, and the last pixels of the map are not read."""
    found = [layer for site in blocks for layer in layers(site.bind()) if _is_shifted(layer)]
    if found:
        kernel = as_map(found[0].kernel)
        message = f"patches of {kernel} pixels are padded: each begins before its first pixel"
        at = place(source, stage.token("NAME").span)
        help = "write `valid` behind the kernel, so that every pixel is read once"
        yield Diagnostic("shifted-patches", message, at, help, severity="warning")


def _is_shifted(layer: Layer) -> bool:
    window = layer.window
    before, _ = window.pads(layer.size)
    apart = layer.kind != "space-to-depth" and window.kernel == window.stride
    return apart and pair(before) != (0, 0)


def _squeezes(
    stage: Stage, blocks: tuple[Site, ...], node: Node, source: Source
) -> Iterator[Diagnostic]:
    """Of `se 4`, which squeezes to 4 channels, where it is easily meant as a ratio."""
    ops = [op for choice in stage.choices for op in walk(choice.block.ops)]
    said = {op.squeeze.value for op in ops if isinstance(op, Se) and isinstance(op.squeeze, Num)}
    for layer in (layer for site in blocks for layer in layers(site.bind())):
        most = min(MOST_RATIO, layer.cin // MOST_RATIO)
        if layer.kind == "se" and layer.squeeze in said and layer.squeeze <= most:
            width, channels = layer.squeeze, layer.cin
            message = f"`se {width}` squeezes {channels} channels to {width}"
            help = (
                f"if {width} is a ratio, write `se round8({channels} / {width})`; if it is a "
                f"width, say so by a share of the channels, as `{channels} / {channels // width}`"
            )
            at = place(source, (node.first("se") or node.token("NAME")).span)
            yield Diagnostic("unclear", message, at, help, severity="warning")
            return


def _idle(space: Space, sites: Sites) -> dict[str, tuple[Size, Size]]:
    """Strides that divide a side of one pixel at every resolution, by stage, with the map."""
    found = _idle_at(space, sites)
    for size in space.resolutions[:-1] if found else ():
        others = _idle_at(space, subnet_sites(smallest(space, size)))
        found = {name: which for name, which in found.items() if name in others}
    return found


def _idle_at(space: Space, sites: Sites) -> dict[str, tuple[Size, Size]]:
    found: dict[str, tuple[Size, Size]] = {}
    for stage, blocks in zip(space.stages, sites, strict=True):
        own = [(layer.stride, layer.size) for site in blocks for layer in layers(site.bind())]
        steps = [step for step in ((stage.stride, blocks[0].size), *own) if _is_idle(*step)]
        if steps:
            found[stage.name] = steps[0]
    return found


def _is_idle(stride: Size, size: Size) -> bool:
    """Whether a stride divides nothing: a side that a pair names, or both sides."""
    idle = [step > 1 and n == 1 for step, n in zip(pair(stride), pair(size), strict=True)]
    return any(idle) if isinstance(stride, Pair) else all(idle)


def _strides(stride: Size, size: Size, stage: Node, source: Source) -> Iterator[Diagnostic]:
    word = stage.first("stride") or own_stride(stage)
    if word is None:
        return  # the page that says it warns of it
    sides = zip(pair(stride), pair(size), strict=True)
    left = size_of(*(step if n > 1 else 1 for step, n in sides))
    message = f"a stride of {stride} on a map of {as_map(size)}, which has one pixel there already"
    help = "leave it out" if left == 1 else f"write {left}"
    if isinstance(stride, Pair):
        help += f"; a pair is rows by columns, so the other way is {stride.width}x{stride.height}"
    yield Diagnostic("idle-stride", message, place(source, word.span), help, severity="warning")
