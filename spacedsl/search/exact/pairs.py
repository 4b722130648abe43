"""Many exact scores at once: spaces as pairs of a head (the first elastic stages) and a tail (the
rest), whose transforms meet in one product of matrices per frequency of the loss.

Scores are at the detail of searches, in single precision; `PRECISION` says how far they may be from
`ExactScorer`'s at full detail, as a share of the score, which a test and the benchmark measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault
from spacedsl.search.candidate import Gene, Genome
from spacedsl.search.exact.grid import Complexes, Grid
from spacedsl.search.exact.operators import StageOperator
from spacedsl.search.exact.order import exact_share
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.protocols import Floats
from spacedsl.search.stage_facts import stage_facts

Singles = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

PRECISION = 4e-4
"""Bound on the relative error of a score, a few times the largest one measured."""

MANTISSA_BITS = 9
"""Probabilities are looked up by their binary exponent and this many bits of the mantissa."""

LEAST_EXPONENT = -40
"""Probabilities below 2^LEAST_EXPONENT count as that."""

Genes = tuple[Gene, ...]


class Lookup:
    """Shares of the best m (see `order`) of float32 probabilities, by their bits."""

    def __init__(self, samples: int, best: int) -> None:
        self._shift = 23 - MANTISSA_BITS
        self._low = np.float32(2.0**LEAST_EXPONENT)
        self._first = int(self._low.view(np.int32)) >> self._shift
        last = int(np.float32(1.0).view(np.int32)) >> self._shift
        bits = np.arange(self._first, last + 1, dtype=np.int64) << self._shift
        edges = bits.astype(np.int32).view(np.float32).astype(np.float64)
        steps = np.append(np.diff(edges), 0.0)
        self._values = exact_share(edges + steps / 2, samples, best).astype(np.float32)

    def __call__(self, probability: Singles) -> Singles:
        """Shares, same shape; `probability` is overwritten."""
        np.clip(probability, self._low, np.float32(1.0), out=probability)
        index = probability.view(np.int32)
        index >>= self._shift
        index -= self._first
        return np.take(self._values, index)


@dataclass(frozen=True, slots=True)
class Half:
    """Transforms of N heads or tails, (N, R, C, K + 1, 2 J + 1) complex64, shifted by their least
    losses, (N,); C: the widths between head and tail."""

    genes: tuple[Genes, ...]
    transform: Complex64
    least: Floats

    def chosen(self, keep: Sequence[int] | NDArray[np.int64]) -> Half:
        """Some of them."""
        at = np.asarray(keep, dtype=np.int64)
        genes = tuple(self.genes[i] for i in at.tolist())
        return Half(genes, self.transform[at], self.least[at])


class Pairs:
    """Scores of all spaces of a hyperspace, half by half. Genes are the hyperspace's `Genome`'s."""

    def __init__(self, scorer: ExactScorer) -> None:
        self.scorer = scorer
        self.genome = Genome(scorer.hyper)
        self.grid: Grid = scorer.whole_grid()
        self._chain = scorer.chain(scorer.hyper)
        self._fixed: dict[int, Floats] = {}
        self._lookup = Lookup(scorer.settings.samples, scorer.settings.best)
        self._top = int(np.argmax(scorer.limits_ms))
        self._under = self.grid.under.astype(np.complex64)
        below = self.grid.below
        self._below = np.concatenate([below.real, -below.imag]).astype(np.float32)
        self._operators: dict[tuple[int, Gene], StageOperator] = {}
        scorer.require(scorer.hyper)
        self._rows = scorer.name == "rows"
        if any(p.upstream.number != p.number - 1 for p in self._chain.places):
            message = f"`{scorer.hyper.name}` has a fixed stage between elastic ones"
            raise fault("not-searchable", message, "use `spacedsl evolve --exact`")

    @property
    def limits_ms(self) -> tuple[float, ...]:
        """Latency limits in ms."""
        return self.scorer.limits_ms

    def operator(self, place: int, gene: Gene) -> StageOperator:
        """The operator of a gene; rows are all widths of the hyperspace's stage before."""
        key = (place, gene)
        if key not in self._operators:
            block, window = gene
            facts = stage_facts(self.genome.alternatives[place][block][window])
            found = self.scorer.operator((facts, self._chain.places[place]), self.grid)
            self._operators[key] = found
        return self._operators[key]

    def fixed_ms(self, window: int) -> Floats:
        """(R,) latencies of the fixed parts; the head's depends on the last width window."""
        if window not in self._fixed:
            last = len(self.genome.shape) - 1
            genes = tuple((0, window if i == last else 0) for i in range(last + 1))
            chain = self.scorer.chain(self.genome.to_space(genes, "any"))
            self._fixed[window] = np.array(chain.total_ms)
        return self._fixed[window]

    def incoming(self, place: int, before: Gene | None) -> list[int]:
        """Rows of the operators at `place` that follow on gene `before`."""
        if self._rows or before is None:
            return [0]
        widths = self.genome.alternatives[place - 1][0][before[1]].widths
        known = self._chain.places[place].upstream.widths
        return [known.index(width) for width in widths]

    def heads(self, genes: Sequence[Genes]) -> Half:
        """Heads of equal length that end in the same width window."""
        states: dict[Genes, tuple[Complexes, Floats]] = {}
        count, grid = len(self._chain.resolutions), self.grid
        first: Complexes = np.full((count, 1, len(grid.s), len(grid.q)), 1.0 / count, complex)
        states[()] = first, np.zeros((count, 1))

        def state(found: Genes) -> tuple[Complexes, Floats]:
            if found not in states:
                before, least = state(found[:-1])
                at = len(found) - 1
                operator = self.operator(at, found[-1])
                rows = self.incoming(at, found[-2] if at else None)
                total = np.einsum("rcsq,rcwsq->rwsq", before, operator.transform[:, rows])
                lowest = (least[:, :, None] + operator.least_loss[:, rows]).min(axis=1)
                states[found] = total, lowest
            return states[found]

        return self._half(genes, [state(g) for g in genes])

    def tails(self, place: int, before: Gene | None, genes: Sequence[Genes]) -> Half:
        """Tails from elastic stage `place` (from 0) on, after a head that ends in `before`."""
        states: dict[tuple[int, Genes], tuple[Complexes, Floats]] = {}

        def state(at: int, found: Genes) -> tuple[Complexes, Floats]:
            """Over all rows of stage `at`."""
            key = (at, found)
            if key not in states:
                operator = self.operator(at, found[0])
                if len(found) == 1:
                    fixed = np.exp(-np.outer(self.fixed_ms(found[0][1]), self.grid.s))
                    ended = operator.transform.sum(axis=2) * fixed[:, None, :, None]
                    states[key] = ended, operator.least_loss.min(axis=2)
                else:
                    after, least = state(at + 1, found[1:])
                    rows = self.incoming(at + 1, found[0])
                    total = np.einsum("rcwsq,rwsq->rcsq", operator.transform, after[:, rows])
                    lowest = (operator.least_loss + least[:, None, rows]).min(axis=2)
                    states[key] = total, lowest
            return states[key]

        rows = self.incoming(place, before)
        found = [state(place, g) for g in genes]
        return self._half(genes, [(t[:, rows], least[:, rows]) for t, least in found])

    def _half(self, genes: Sequence[Genes], found: Sequence[tuple[Complexes, Floats]]) -> Half:
        least = np.array([lowest.min() for _, lowest in found])
        shifts = np.exp(np.multiply.outer(least, self.grid.q))
        transforms = [
            (total * shift).astype(np.complex64)
            for (total, _), shift in zip(found, shifts, strict=True)
        ]
        return Half(tuple(genes), np.stack(transforms), least)

    def scores(self, heads: Half, tails: Half) -> Singles:
        """(heads, tails) Q-T scores of each head with each tail."""
        count, limits = len(heads.genes), len(self._under)
        left = heads.transform[:, None] * self._under[None, :, None, None, :, None]
        q = left.shape[-1]
        left = np.ascontiguousarray(np.moveaxis(left, -1, 0)).reshape(q, count * limits, -1)
        right = np.moveaxis(tails.transform, -1, 0).reshape(q, len(tails.genes), -1)
        met = left @ np.swapaxes(right, 1, 2)  # (q, heads * limits, tails)
        flat = met.reshape(q, -1)
        waves = np.concatenate([flat.real, flat.imag])  # (2 q, heads * limits * tails)
        found = waves.T @ self._below
        found -= np.float32(self.grid.wrapped_loss) * (found[:, -1:] - found)
        found = found.reshape(count, limits, len(tails.genes), -1)
        found -= np.float32(self.grid.wrapped_latency) * (found[:, self._top, None] - found)
        shares = self._lookup(found).sum(axis=1)
        least = np.add.outer(heads.least, tails.least)
        return self._integral(shares, least)

    def _integral(self, shares: Singles, least: Floats) -> Singles:
        """Of shares (..., points) over accuracies, for least losses (...)."""
        accuracy = (1.0 / (least[..., None] + self.grid.offsets)).astype(np.float32)
        weights = np.empty_like(accuracy)
        weights[..., 1:-1] = (accuracy[..., :-2] - accuracy[..., 2:]) / 2
        weights[..., 0] = (accuracy[..., 0] - accuracy[..., 1]) / 2
        weights[..., -1] = (accuracy[..., -2] + accuracy[..., -1]) / 2
        return np.asarray(np.einsum("...p,...p->...", shares, weights))


def all_genes(genome: Genome, start: int, stop: int) -> list[Genes]:
    """Every combination of genes of elastic stages `start` to `stop` (not included)."""
    found: list[Genes] = [()]
    for blocks, windows in genome.shape[start:stop]:
        genes = [(b, w) for b in range(blocks) for w in range(windows)]
        found = [(*g, gene) for g in found for gene in genes]
    return found
