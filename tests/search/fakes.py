"""A small hyperspace with made-up tables, for tests of scoring and search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from spacedsl.ir.identity import block_identity, digest, normal_ops, space_identity
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.lang.page import Loader
from spacedsl.operators.size import Pair, as_number
from spacedsl.passes.bind import Site
from spacedsl.passes.cost import site_cost
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.protocols import (
    Coverage,
    Floats,
    Ints,
    Prediction,
    StageLoss,
    Valuation,
)
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.space_score import LimitScore
from spacedsl.search.valuation import InverseLoss
from spacedsl.text import Source

RESOLUTIONS = (32, 64)

LIMITS_MS = (1.5, 2.0, 3.0)

BLOCKS = """
    mbv2 { kernel 3, 5  expand 4, 6 }
    bottleneck { kernel 3, 5  expand 0.5, 1 }
    mbv1-dual { kernel 3, 5 }"""

STAGE1 = "width 16..64 step 16  window 2  depth 1..3  stride 2"
STAGE2 = "width 32..64 step 16  window 2  depth 2, 4"


def page(
    blocks: str = BLOCKS,
    stage1: str = STAGE1,
    stage2: str = STAGE2,
    more: str = "",
    middle: str = "",
) -> str:
    """The text of the toy hyperspace."""
    return f"""language 1
use "std/blocks.space"
hyperspace toy {{
  input 3 x 32..64 step 16
  blocks {{{blocks}
  }}
  stem {{ conv 3x3 relu strided  width 8, 16  stride 2 }}
  elastic stage1 {{ {stage1} }}
  {middle}
  elastic stage2 {{ {stage2} }}
  elastic stage3 {{ width 48, 64, 80  window 2  depth 1, 2  stride 2 }}
  head {{ conv 1x1 -> 96 hswish  pool  linear -> 10 }}
}}
{more}"""


def load(text: str, name: str = "toy") -> Space:
    """The space or hyperspace `name` of a page."""
    item = Loader().parse(Source("toy.space", text), Path()).get(name)
    if not isinstance(item, Space):
        raise TypeError(name)
    return item


@cache
def toy() -> Space:
    """The toy hyperspace: 324 spaces, (block types, windows) 3 x 3, 3 x 2 and 3 x 2."""
    return load(page())


@dataclass
class FakeLatency:
    """Latency from the cost of a block. `uncovered` says which blocks it does not know."""

    uncovered: Callable[[Site], bool] = lambda _: False
    resolutions: tuple[int, ...] = RESOLUTIONS
    identity: str = "fake-latency"
    fastest_ms: float = 0.0
    asked: list[int] = field(default_factory=list)

    def ms(self, site: Site) -> float:
        """Latency of one block in ms."""
        return site_cost(site).flops * 1.5e-7 + 2e-3 * site.cin + 0.01

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """As `LatencyModel.predict`; wide blocks count as interpolated."""
        self.asked.append(len(sites))
        coverage = [
            Coverage.UNCOVERED
            if self.uncovered(site)
            else Coverage.INTERPOLATED
            if site.cout > 48
            else Coverage.MEASURED
            for site in sites
        ]
        ms = [np.nan if self.uncovered(site) else self.ms(site) for site in sites]
        return Prediction(np.array(ms), np.array(coverage, dtype=np.uint8))


@cache
def role(choice: BlockChoice, name: str) -> int:
    """The number of a parameter, whatever its name."""
    return int(normal_ops(choice)[1][name][1:])


@dataclass
class FakeLoss:
    """An arbitrary loss that depends on everything it may depend on, but on no name."""

    number: int
    choice: BlockChoice
    offset_uncertainty: float = 0.0
    hole: int = -1

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """As `StageLoss.base`."""
        level = int(block_identity(self.choice)[:4], 16) / 65536
        return np.asarray(
            0.2 * level - 0.1 * depth - as_number(resolution) / 500 - cin / 400, dtype=float
        )

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """As `StageLoss.terms`; blocks `hole` wide are not covered."""
        total = -width / (100 + 10 * position) + 0.001 * cin + 0.01 * depth * self.number
        for name, values in settings.items():
            if name not in self.choice.fixed:
                total = total - 0.02 * (1 + role(self.choice, name)) * values
        return np.where(width == self.hole, np.nan, total + as_number(resolution) / 1000)

    def link(self, total: Floats) -> Floats:
        """As `StageLoss.link`."""
        return np.asarray(np.exp(0.5 * total), dtype=float)


@dataclass
class FakeQuality:
    """Losses of all block types but `lacks`; those of `doubtful` have an uncertainty."""

    resolutions: tuple[int, ...] = (*RESOLUTIONS, 96)
    identity: str = "fake-quality"
    lacks: str = ""
    doubtful: Mapping[str, float] = field(default_factory=dict)
    hole: int = -1
    valuation: Valuation = field(default_factory=InverseLoss)
    again: tuple[FakeQuality, ...] = ()

    def refits(self) -> tuple[FakeQuality, ...]:
        """As `QualityModel.refits`."""
        return self.again

    def stage(self, number: int, choice: BlockChoice) -> StageLoss | None:
        """As `QualityModel.stage`."""
        if choice.block.name == self.lacks:
            return None
        return FakeLoss(number, choice, self.doubtful.get(choice.block.name, 0.0), self.hole)


@dataclass
class FakeRows:
    """Rows made from the hash of what they are asked for."""

    resolutions: tuple[int, ...] = RESOLUTIONS
    identity: str = "fake-rows"
    lacks: int = 0

    def rows(
        self, number: int, choice: BlockChoice, widths: tuple[int, ...], resolution: float | Pair
    ) -> tuple[Floats, Floats] | None:
        """As `StageRows.rows`."""
        if number == self.lacks:
            return None
        key = digest([number, block_identity(choice), widths, resolution])
        values = np.frombuffer(bytes.fromhex(key), dtype=np.uint8) / 255 + 0.1
        return values[:16] / 2, values[16:]


def model_scorer(hyper: Space, **options: object) -> ModelScorer:
    """A small scorer for the toy hyperspace."""
    chosen: dict[str, object] = {"samples": 300, "best": 5, "limits_ms": LIMITS_MS, **options}
    return ModelScorer(hyper, FakeLatency(), FakeQuality(), **chosen)  # type: ignore[arg-type]


def rows_scorer(hyper: Space, **options: object) -> RowsScorer:
    """The same for the rows scorer."""
    chosen: dict[str, object] = {"samples": 300, "best": 5, "limits_ms": LIMITS_MS, **options}
    return RowsScorer(hyper, FakeRows(), FakeLatency(), **chosen)  # type: ignore[arg-type]


@dataclass
class CountingScorer:
    """A scorer that knows which spaces it was asked for."""

    inner: ModelScorer
    scored: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, object]:
        """The inner scorer's."""
        return self.inner.identity

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """The inner scorer's."""
        return self.inner.limits_ms

    def require(self, space: Space) -> None:
        """The inner scorer's."""
        self.inner.require(space)

    def limits(
        self, genome: Genome, genotypes: Sequence[Genotype]
    ) -> Iterable[tuple[LimitScore, ...]]:
        """The inner scorer's."""
        self.scored += [space_identity(genome.to_space(g, "any")) for g in genotypes]
        return self.inner.limits(genome, genotypes)

    def total(self, limits: Sequence[LimitScore]) -> float:
        """The inner scorer's."""
        return self.inner.total(limits)
