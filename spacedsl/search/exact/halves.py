"""Spaces as pairs of a head (the first elastic stages) and a tail (the rest): the transforms of
either half, at the detail of searches and in single precision."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault
from spacedsl.search.cache import ByteCache
from spacedsl.search.candidate import Gene, Genome
from spacedsl.search.exact.grid import Grid
from spacedsl.search.exact.scorer import ExactScorer, Stage
from spacedsl.search.exact.size import require_room
from spacedsl.search.protocols import Floats
from spacedsl.search.stage_facts import stage_facts

Singles = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

Genes = tuple[Gene, ...]

PARTS_BYTES = 256 << 20
"""Memory for the transforms of parts of heads and tails."""


@dataclass(frozen=True, slots=True)
class Half:
    """Some stages in a row: transforms (R, C, F) by the C widths at the open end, for the F
    frequencies of the grid flattened, and least losses (R, C)."""

    transform: Complex64
    least: Floats

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.transform.nbytes + self.least.nbytes


@dataclass(frozen=True, slots=True)
class Step:
    """One gene: transforms (R, C, W, F) by width in and width out, and least losses (R, C, W)."""

    transform: Complex64
    least: Floats


def halves_exist(scorer: ExactScorer) -> bool:
    """Whether no fixed stage stands between elastic ones of the scorer's hyperspace."""
    places = scorer.chain(scorer.hyper).places
    return all(place.upstream.number == place.number - 1 for place in places)


class Halves:
    """Heads and tails of the spaces of a hyperspace; genes are its `Genome`'s. Transforms of stage
    i count losses from `origins[i]`, the least of any gene, so that they are near 1. A half is
    always multiplied out in the same order and does not depend on what was asked before."""

    def __init__(self, scorer: ExactScorer) -> None:
        require_room(scorer.hyper, paired=False)
        scorer.require(scorer.hyper)
        self.scorer = scorer
        self.genome = Genome(scorer.hyper)
        self.grid: Grid = scorer.whole_grid()
        self._places = scorer.chain(scorer.hyper).places
        if not halves_exist(scorer):
            message = f"`{scorer.hyper.name}` has a fixed stage between elastic ones"
            raise fault("not-searchable", message, "leave --definition qt, or --exact, out")
        self.stages = len(self.genome.shape)
        self.cut = self.stages // 2
        self.resolutions = len(self._places[0].resolutions)
        self.origins = [
            min(scorer.least_loss(self._stage(place, gene)) for gene in self.genes(place))
            for place in range(self.stages)
        ]
        self._rows = scorer.name == "rows"
        self._fixed: dict[int, Complex64] = {}
        self._wholes: dict[tuple[int, Gene], Step] = {}
        self._steps: dict[tuple[int, Gene, int], Step] = {}
        self._parts: ByteCache[Half]
        self.forget()

    @property
    def least_loss(self) -> float:
        """No subnet of any space has a smaller loss."""
        return float(sum(self.origins))

    def genes(self, place: int) -> list[Gene]:
        """The genes of an elastic stage (from 0)."""
        blocks, windows = self.genome.shape[place]
        return [(b, w) for b in range(blocks) for w in range(windows)]

    def _stage(self, place: int, gene: Gene) -> Stage:
        block, window = gene
        return stage_facts(self.genome.alternatives[place][block][window]), self._places[place]

    def prepare(self, end: float) -> None:
        """Make the transforms of all genes, which processes then share, until the time `end`."""
        for place in range(self.stages):
            for gene in self.genes(place):
                if time.monotonic() > end:
                    return
                self._whole(place, gene)

    def forget(self) -> None:
        """Drop the parts of heads and tails that are kept."""
        self._parts = ByteCache(PARTS_BYTES, lambda part: part.nbytes)

    def _whole(self, place: int, gene: Gene) -> Step:
        """A gene after all widths that the hyperspace's stage before may have."""
        key = (place, gene)
        if key not in self._wholes:
            found = self.scorer.fresh_operator(self._stage(place, gene), self.grid)
            moved = found.transform * np.exp(self.origins[place] * self.grid.q)
            flat = moved.astype(np.complex64).reshape(*found.least_loss.shape, -1)
            self._wholes[key] = Step(flat, found.least_loss)
        return self._wholes[key]

    def step(self, place: int, gene: Gene, window: int) -> Step:
        """A gene after width window `window` of the stage before (0 for the first stage)."""
        key = (place, gene, window)
        if key not in self._steps:
            whole = self._whole(place, gene)
            rows = slice(0, 1)
            if place and not self._rows:
                before = self.genome.alternatives[place - 1][0][window]
                rows = slice(window, window + len(before.widths))  # windows count from their first
            self._steps[key] = Step(whole.transform[:, rows], whole.least[:, rows])
        return self._steps[key]

    def _fixed_part(self, window: int) -> Complex64:
        """(R, 1, F): the fixed parts; the network's head depends on the last width window."""
        if window not in self._fixed:
            last = self.stages - 1
            genes = tuple((0, window if i == last else 0) for i in range(last + 1))
            chain = self.scorer.chain(self.genome.to_space(genes, "any"))
            moved = np.exp(-np.outer(chain.total_ms, self.grid.s)) / self.resolutions
            whole = np.repeat(moved[:, :, None], len(self.grid.q), axis=2)
            self._fixed[window] = whole.reshape(len(moved), 1, -1).astype(np.complex64)
        return self._fixed[window]

    def head(self, genes: Genes) -> Half:
        """The stages from the first on, by the width of the last."""
        if not genes:
            ones = np.ones((self.resolutions, 1, len(self.grid.s) * len(self.grid.q)))
            return Half(ones.astype(np.complex64), np.zeros((self.resolutions, 1)))

        def make() -> Half:
            before = self.head(genes[:-1])
            step = self.step(len(genes) - 1, genes[-1], genes[-2][1] if len(genes) > 1 else 0)
            total = before.transform[:, 0, None] * step.transform[:, 0]
            for c in range(1, step.transform.shape[1]):
                total += before.transform[:, c, None] * step.transform[:, c]
            return Half(total, (before.least[:, :, None] + step.least).min(axis=1))

        return self._parts.get(("head", genes), make)

    def tail(self, window: int, genes: Genes) -> Half:
        """The stages to the last, by the widths of window `window` of the stage before; without
        stages, the fixed parts."""
        if not genes:
            widths = len(self.genome.alternatives[-1][0][window].widths)
            count = 1 if self._rows else widths
            ended = np.repeat(self._fixed_part(window), count, axis=1)
            return Half(ended, np.zeros((self.resolutions, count)))

        def make() -> Half:
            step = self.step(self.stages - len(genes), genes[0], window)
            if len(genes) == 1:
                ended = step.transform.sum(axis=2) * self._fixed_part(genes[0][1])
                return Half(ended, step.least.min(axis=2))
            after = self.tail(genes[0][1], genes[1:])
            total = step.transform[:, :, 0] * after.transform[:, None, 0]
            for w in range(1, step.transform.shape[2]):
                total += step.transform[:, :, w] * after.transform[:, None, w]
            return Half(total, (step.least + after.least[:, None]).min(axis=2))

        return self._parts.get(("tail", window, genes), make)


def all_genes(genome: Genome, start: int, stop: int) -> list[Genes]:
    """Every combination of genes of elastic stages `start` to `stop` (not included)."""
    found: list[Genes] = [()]
    for blocks, windows in genome.shape[start:stop]:
        genes = [(b, w) for b in range(blocks) for w in range(windows)]
        found = [(*g, gene) for g in found for gene in genes]
    return found
