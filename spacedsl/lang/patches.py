"""Warns of patches that are read a little off: windows as large as their steps, and padded."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import Diagnostic, place
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import as_map, pair
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.syntax.tree import Node
from spacedsl.text import Source


def patch_warnings(space: Space, node: Node, source: Source) -> Iterator[Diagnostic]:
    """Of stages, as the page writes them, with windows whose steps are as long as they are and
    whose padding puts pixels before the map: every patch begins early, and the last pixels of the
    map are not read."""
    said = {stage.token("NAME").text: stage for stage in node.all("stage")}
    sites = subnet_sites(smallest(space, space.resolutions[-1]))
    for stage, blocks in zip(space.stages, sites, strict=True):
        found = [layer for site in blocks for layer in layers(site.bind()) if _is_shifted(layer)]
        if found and stage.name in said:
            kernel = as_map(found[0].kernel)
            message = f"patches of {kernel} pixels are padded: each begins before its first pixel"
            at = place(source, said[stage.name].token("NAME").span)
            help = "write `valid` behind the kernel, so that every pixel is read once"
            yield Diagnostic("shifted-patches", message, at, help, severity="warning")


def _is_shifted(layer: Layer) -> bool:
    window = layer.window
    before, _ = window.pads(layer.size)
    apart = layer.kind != "space-to-depth" and window.kernel == window.stride
    return apart and pair(before) != (0, 0)
