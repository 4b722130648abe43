"""Sizes of stages, and what the parts outside the elastic stages cost.

Stem, stages that are not elastic, and head are taken as small as they can be."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from spacedsl.ir.identity import stage_identity
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import smallest_block, smallest_stage
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site, output_size, site_of
from spacedsl.search.block_tables import StagePlace
from spacedsl.search.protocols import Coverage, Floats, LatencyModel
from spacedsl.search.stage_facts import Upstream


@dataclass(frozen=True, slots=True)
class FixedPart:
    """A stem, stage or head: its latency in ms at each of the R resolutions, the worst of the
    coverages of its blocks, and the blocks that are not covered."""

    name: str
    ms: tuple[float, ...]
    coverage: Coverage
    missing: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A space from input to head: places of its elastic stages, and its fixed parts."""

    resolutions: tuple[Size, ...]
    places: tuple[StagePlace, ...]
    fixed: tuple[FixedPart, ...]

    @property
    def total_ms(self) -> tuple[float, ...]:
        """Latency of all fixed parts in ms, per resolution."""
        parts = [part.ms for part in self.fixed]
        return tuple(float(sum(column)) for column in zip(*parts, strict=True)) or tuple(
            0.0 for _ in self.resolutions
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """The parts that are not elastic between two elastic stages, or at an end: latency in ms,
    (R, W), at each resolution by the width that comes in, and what is not covered, in words."""

    ms: Floats
    missing: tuple[str, ...]


@dataclass
class Chains:
    """Walks spaces from the input on; remembers what it asked."""

    latency: LatencyModel
    _fixed: dict[Hashable, FixedPart] = field(default_factory=dict)
    _heights: dict[Hashable, tuple[Size, ...]] = field(default_factory=dict)

    def walk(self, space: Space, resolutions: tuple[Size, ...]) -> Chain:
        """The chain of a space (of a hyperspace: with each elastic stage's whole width list)."""
        sizes, cin = resolutions, space.channels
        upstream = Upstream((cin,))
        places: list[StagePlace] = []
        fixed: list[FixedPart] = []
        for stage in space.stages:
            out_sizes = self._out_sizes(stage, cin, sizes)
            if stage.elastic:
                place = StagePlace(len(places) + 1, upstream, resolutions, sizes, out_sizes)
                places.append(place)
                shared = "width" in stage.shared
                upstream = Upstream(stage.widths, place.number, stage.depths, shared)
            else:
                fixed.append(self._part(stage, cin, sizes))
                upstream = Upstream(stage.widths[:1]) if stage.widths else upstream.behind(stage)
            sizes = out_sizes
            cin = smallest_stage(stage).behind(stage, cin)[-1]
        return Chain(resolutions, tuple(places), tuple(fixed))

    def gaps(self, space: Space, resolutions: tuple[Size, ...]) -> tuple[Gap, ...]:
        """What stands before, between and after the elastic stages: one more than there are of
        them, each by the width that comes in, of an elastic stage's whole width list."""
        sizes = resolutions
        cins: tuple[int, ...] = (space.channels,)
        found: list[list[tuple[FixedPart, ...]]] = [[]]
        widths = [1]
        for stage in space.stages:
            out_sizes = self._out_sizes(stage, cins[0], sizes)
            if stage.elastic:
                found.append([])
                widths.append(len(stage.widths))
                cins = stage.widths
            else:
                found[-1].append(tuple(self._part(stage, cin, sizes) for cin in cins))
                shortest = smallest_stage(stage)
                grown = (shortest.behind(stage, cin)[-1] for cin in cins)
                cins = stage.widths[:1] or tuple(grown)
            sizes = out_sizes
        return tuple(
            _gap(parts, (len(resolutions), width))
            for parts, width in zip(found, widths, strict=True)
        )

    def _out_sizes(self, stage: Stage, cin: int, sizes: tuple[Size, ...]) -> tuple[Size, ...]:
        key = (stage_identity(stage), cin, sizes)
        if key not in self._heights:
            runs = [smallest_sites(stage, stage.choices[0], cin, size) for size in sizes]
            self._heights[key] = tuple(output_size(run[-1]) for run in runs)
        return self._heights[key]

    def _part(self, stage: Stage, cin: int, sizes: tuple[Size, ...]) -> FixedPart:
        key = (stage.name, stage_identity(stage), cin, sizes)
        if key not in self._fixed:
            runs = [smallest_sites(stage, stage.choices[0], cin, size) for size in sizes]
            sites = [site for run in runs for site in run]
            found = self.latency.predict(sites)
            block_ms = np.asarray(found.ms, dtype=np.float64)
            lacking = (found.coverage == Coverage.UNCOVERED) | ~np.isfinite(block_ms)
            missing = tuple(site for site, lacks in zip(sites, lacking, strict=True) if lacks)
            coverage = Coverage.UNCOVERED if missing else Coverage(int(found.coverage.max()))
            ms = tuple(block_ms.reshape(len(sizes), -1).sum(axis=1).tolist())
            self._fixed[key] = FixedPart(stage.name, ms, coverage, missing)
        return self._fixed[key]


def _gap(parts: Sequence[tuple[FixedPart, ...]], shape: tuple[int, int]) -> Gap:
    """Of stages in turn, each by the width that comes into it; after one with widths of its own
    there is one width."""
    ms = np.zeros(shape)
    for part in parts:
        ms += np.array([found.ms for found in part]).T
    missing = (f"{f.name}: latency of {site}" for part in parts for f in part for site in f.missing)
    return Gap(ms, tuple(dict.fromkeys(missing)))


def smallest_sites(stage: Stage, choice: BlockChoice, cin: int, size: Size) -> tuple[Site, ...]:
    """The blocks of a stage as small as they can be, for `cin` channels of `size` pixels in."""
    block = smallest_block(stage, choice)
    sites: list[Site] = []
    for i in range(stage.depths[0]):
        site = site_of(stage, choice, block, cin, size, i == 0)
        size, cin = output_size(site), site.end
        sites.append(site)
    return tuple(sites)
