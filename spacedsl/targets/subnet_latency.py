"""Latencies of many subnets of one space: what every block costs in its place is asked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum, isnan

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet, SubnetBlock
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site, output_size, site_of
from spacedsl.search.protocols import LatencyModel

_Place = tuple[int, int, bool, int, Size, SubnetBlock]
"""Stage, block type, is it the stage's first block, channels and pixels in, block."""


@dataclass
class SubnetLatency:
    """`latency(subnet)`: predicted INT8 milliseconds, the same as `model_latency` adds up."""

    space: Space
    table: LatencyModel
    _known: dict[_Place, tuple[float, int, Size]] = field(default_factory=dict)

    def __call__(self, subnet: Subnet) -> float:
        """Raises `SpaceError` where a block is not covered."""
        cin, size = self.space.channels, subnet.resolution
        found: list[float] = []
        for position, stage in enumerate(subnet.stages):
            for i, block in enumerate(stage.blocks):
                place = (position, stage.choice, i == 0, cin, size, block)
                known = self._known.get(place)
                if known is None:
                    known = self._known[place] = self._ask(place)
                ms, cin, size = known
                found.append(ms)
        return fsum(found)

    def _ask(self, place: _Place) -> tuple[float, int, Size]:
        """Milliseconds of a block in its place, channels and pixels out."""
        position, choice, first, cin, size, block = place
        stage = self.space.stages[position]
        site: Site = site_of(stage, stage.choices[choice], block, cin, size, first)
        ms = float(self.table.predict([site]).ms[0])
        if isnan(ms):
            message = f"{site} in {stage.name} of {self.space.name} is not covered"
            raise fault("uncovered", message, help="profile the target, or choose another one")
        return ms, site.end, output_size(site)
