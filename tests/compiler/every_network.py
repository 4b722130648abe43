"""Every network of a small space, block by block: what searches for the best must find."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from spacedsl.ir.settings import canonical_stage
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.operators.size import Size, as_number
from spacedsl.passes.bind import Site, output_size, site_of
from spacedsl.search.protocols import Floats, Ints, LatencyModel, QualityModel

Blocks = tuple[SubnetBlock, ...]
Sums = tuple[float, float, int, Size, int]


@cache
def members(stage: Stage) -> tuple[Blocks, ...]:
    """Everything that an elastic stage of a space may be, in canonical form; of another stage the
    smallest."""
    choice = stage.choices[0]
    if not stage.elastic:
        return ((smallest_block(stage, choice),) * stage.depths[0],)
    lists = [[Setting(name=a.name, value=v) for v in a.values] for a in choice.chosen]
    blocks = [SubnetBlock(width=w, settings=s) for w in stage.widths for s in product(*lists)]
    found = []
    for depth in stage.depths:
        for chosen in product(blocks, repeat=depth):
            said = [
                {"width": b.width, **{s.name: s.value for s in b.settings}}  # shared alike
                for b in chosen
            ]
            if all(len({s[name] for s in said}) == 1 for name in stage.shared if depth > 1):
                found.append(canonical_stage(stage, SubnetStage(blocks=chosen)).blocks)
    return tuple(dict.fromkeys(found))


class Everything:
    """The networks of a space: `ms`, `loss`, `resolution` and `network`, (N,) each, numbered as
    `subnet` does. Those with the same `network` are made of the same layers."""

    def __init__(self, space: Space, latency: LatencyModel, quality: QualityModel) -> None:
        self.space, self._latency, self._quality = space, latency, quality
        self._ms: dict[Site, float] = {}
        self._losses: dict[object, float] = {}
        self._layers: dict[object, int] = {}
        self.stages = [members(stage) for stage in space.stages]
        known = set(latency.resolutions) & set(quality.resolutions)
        self.resolutions = [r for r in space.resolutions if r in known]
        found: list[tuple[float, float, float, int]] = []
        for r in self.resolutions:
            state: list[Sums] = [(0.0, 0.0, space.channels, r, 0)]
            for position, alternatives in enumerate(self.stages):
                pairs = product(state, alternatives)
                state = [self._after(position, r, sums, blocks) for sums, blocks in pairs]
            found += [(ms, loss, as_number(r), network) for ms, loss, _, _, network in state]
        table = np.array(found)
        self.ms, self.loss = table[:, 0], table[:, 1]
        self.resolution = table[:, 2].astype(int)
        self.network = np.unique(table[:, 2:], axis=0, return_inverse=True)[1].ravel()

    def subnet(self, index: int) -> Subnet:
        """One network."""
        counts = [len(self.resolutions), *(len(stage) for stage in self.stages)]
        at = np.unravel_index(index, counts)
        stages = tuple(
            SubnetStage(blocks=every[i]) for every, i in zip(self.stages, at[1:], strict=True)
        )
        resolution = self.resolutions[at[0]]
        return Subnet(name="one", of=self.space, resolution=resolution, stages=stages)

    def _after(self, position: int, r: Size, sums: Sums, blocks: Blocks) -> Sums:
        """Latency, loss, channels, pixels and layers after one more stage."""
        ms, loss, cin, size, network = sums
        stage = self.space.stages[position]
        if stage.elastic:
            loss += self._loss(position, r, cin, blocks)
        for i, block in enumerate(blocks):
            site = site_of(stage, stage.choices[0], block, cin, size, i == 0)
            if site not in self._ms:
                self._ms[site] = float(self._latency.predict([site]).ms[0])
            ms += self._ms[site]
            size, cin = output_size(site), site.end
            if layers := site.bind():
                network = self._layers.setdefault((network, layers), len(self._layers) + 1)
        return ms, loss, cin, size, network

    def _loss(self, position: int, r: Size, cin: int, blocks: Blocks) -> float:
        key = position, r, cin, blocks
        if key not in self._losses:
            number = self.space.elastic.index(position) + 1
            model = self._quality.stage(number, self.space.stages[position].choices[0])
            if model is None:
                raise LookupError(number)
            total = model.base(r, len(blocks), np.array([cin]))
            for i, block in enumerate(blocks):
                named = {s.name: np.array([as_number(s.value)]) for s in block.settings}
                at = np.array([cin]), np.array([block.width])
                total = total + model.terms(r, len(blocks), i, *at, named)
                cin = block.width
            self._losses[key] = float(model.link(total)[0])
        return self._losses[key]


def best(values: Floats, ms: Floats, network: Ints, limit: float, count: int) -> Floats:
    """The `count` greatest of different networks that keep a limit, greatest first."""
    at = np.flatnonzero(ms <= limit)
    at = at[np.argsort(-values[at], kind="stable")]
    first = np.unique(network[at], return_index=True)[1]
    return values[at[np.sort(first)]][:count]
