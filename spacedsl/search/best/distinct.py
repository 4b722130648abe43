"""Networks that are the same although they are chosen otherwise.

Two choices make one network where they come to the same layers: a block that is left out leaves
nothing, so it does not matter at which of two places alike it is left out; and a block at the end
of one stage is the one that would begin the next, where both have its type and the sizes fit. Such
networks have equal hashes. Their predicted losses may differ, since a table values stage by stage;
the better prediction counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacedsl.ir.space import Settings, Space, Stage
from spacedsl.ir.subnet import Setting, SubnetBlock, smallest_block
from spacedsl.operators.size import Size
from spacedsl.passes.bind import output_size, site_of
from spacedsl.passes.bound import Bound
from spacedsl.search.best.line import Line
from spacedsl.search.candidate import Genotype
from spacedsl.search.stage_facts import StageFacts

Layers = tuple[tuple[Bound, ...], ...]
"""Of each block that leaves something."""

Chosen = tuple[int, Settings]
"""Width and settings of a block."""

BlockAt = tuple[int, int, Chosen, int, Size, bool]
"""Position of a stage and number of its block type; what is chosen; channels in, pixels in and
whether it is the stage's first block."""


@dataclass(frozen=True, slots=True)
class Way:
    """One of the best networks: position of its resolution, latency in ms, loss, worth, and the
    blocks of each elastic stage as a `Front` has them."""

    r: int
    ms: float
    loss: float
    value: float
    blocks: tuple[tuple[int, ...], ...]


def chosen(facts: StageFacts, code: int) -> Chosen:
    """The block that a `Front` has as a number."""
    width, setting = divmod(code, len(facts.combos))
    return facts.widths[width], facts.combos[setting]


class Networks:
    """Tells the networks of a line's hyperspace apart."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._known: dict[BlockAt, tuple[tuple[Bound, ...], int, Size]] = {}

    def different(self, genotype: Genotype, ways: Sequence[Way]) -> list[Way]:
        """The first of each network, of a space's."""
        space = self._line.genome.to_space(genotype, "any")
        found: dict[tuple[int, Layers], Way] = {}
        for way in ways:
            found.setdefault((way.r, tuple(self._layers(space, genotype, way))), way)
        return list(found.values())

    def _layers(self, space: Space, genotype: Genotype, way: Way) -> Iterator[tuple[Bound, ...]]:
        cin, size = space.channels, self._line.resolutions[way.r]
        elastic = iter(zip(range(len(genotype)), genotype, way.blocks, strict=True))
        for position, stage in enumerate(space.stages):
            if stage.elastic:
                place, gene, codes = next(elastic)
                facts = self._line.front(place, gene).facts
                number, blocks = gene[0], [chosen(facts, code) for code in codes]
            else:
                number, blocks = -1, [_smallest(space, position)] * stage.depths[0]
            for i, block in enumerate(blocks):
                at = (position, number, block, cin, size, i == 0)
                if at not in self._known:
                    self._known[at] = _bound(stage, at)
                layers, cin, size = self._known[at]
                if layers:
                    yield layers


def _smallest(space: Space, position: int) -> Chosen:
    stage = space.stages[position]
    block = smallest_block(stage, stage.choices[0])
    return block.width, tuple((s.name, s.value) for s in block.settings)


def _bound(stage: Stage, at: BlockAt) -> tuple[tuple[Bound, ...], int, Size]:
    """The layers of a block, and the channels and the size of what comes out."""
    _, _, (width, settings), cin, size, first = at
    block = SubnetBlock(width=width, settings=tuple(Setting(name=n, value=v) for n, v in settings))
    site = site_of(stage, stage.choices[0], block, cin, size, first)
    return site.bind(), site.end, output_size(site)
