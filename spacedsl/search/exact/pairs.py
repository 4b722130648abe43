"""Exact scores of many spaces, as pairs of a head and a tail (see `halves`).

Scores are at the detail of searches, in single precision; `PRECISION` says how far they may be from
`ExactScorer`'s at full detail, as a share of the score, which a test and the benchmark measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.search.candidate import Genotype
from spacedsl.search.exact.halves import Complex64, Half, Halves, Singles
from spacedsl.search.exact.order import exact_share
from spacedsl.search.protocols import Floats

PRECISION = 4e-4
"""Bound on the relative error of a score, a few times the largest one measured."""

MANTISSA_BITS = 9
"""Probabilities are looked up by their binary exponent and this many bits of the mantissa."""

LEAST_EXPONENT = -40
"""Probabilities below 2^LEAST_EXPONENT count as that."""

AT_ONCE = 128
"""Pairs whose transforms are in memory at a time."""


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


class Pairs:
    """Scores of heads with tails."""

    def __init__(self, halves: Halves) -> None:
        self.halves = halves
        grid, settings = halves.grid, halves.scorer.settings
        self._lookup = Lookup(settings.samples, settings.best)
        self._top = int(np.argmax(settings.limits_ms))
        self._under = grid.under.astype(np.complex64)
        below = grid.below
        waves = np.stack([below.real, -below.imag], axis=1).reshape(-1, below.shape[1])
        self._below = waves.astype(np.float32)
        self._wrapped = np.float32(grid.wrapped_loss), np.float32(grid.wrapped_latency)
        self._q = grid.q

    def score(self, genotype: Genotype) -> float:
        """The score of one space."""
        return float(self.limits([genotype])[0].sum())

    def limits(self, genotypes: Sequence[Genotype]) -> Floats:
        """(N, T) the parts of the scores of N spaces."""
        return self.parts(genotypes)[0]

    def parts(self, genotypes: Sequence[Genotype]) -> tuple[Floats, Singles]:
        """(N, T) the parts of the scores of N spaces, and the share there is of the best m."""
        found = []
        for i in range(0, len(genotypes), AT_ONCE):
            some = [self.split(g) for g in genotypes[i : i + AT_ONCE]]
            met = np.stack([_met(head, tail) for head, tail in some])
            least = np.array([(head.least + tail.least).min() for head, tail in some])
            found.append(self.parted(met, least))
        scores, shares = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return scores, shares

    def split(self, genotype: Genotype) -> tuple[Half, Half]:
        """The head and tail of a space."""
        cut = self.halves.cut
        window = genotype[cut - 1][1] if cut else 0
        return self.halves.head(genotype[:cut]), self.halves.tail(window, genotype[cut:])

    def parted(self, met: Complex64, least: Floats) -> tuple[Floats, Singles]:
        """As `parts`, of transforms (N, F) whose least losses are (N,)."""
        count, q = len(met), len(self._q)
        shift = np.exp(np.multiply.outer(least - self.halves.least_loss, self._q))
        under = self._under @ met.reshape(count, -1, q)  # (N, T, 2 J + 1)
        under *= shift.astype(np.complex64)[:, None]
        # one product per space, so that a score does not depend on what is scored beside it
        found = under.view(np.float32) @ self._below
        wrapped_loss, wrapped_latency = self._wrapped
        found *= 1 + wrapped_loss
        found -= wrapped_loss * found[..., -1:]
        found *= 1 + wrapped_latency
        found -= wrapped_latency * found[:, self._top, None]
        # where all subnets are slow and lossy, rounding is amplified most at the far end
        shares = self._lookup(np.maximum.accumulate(found, axis=2))
        accuracy = 1.0 / (least[:, None] + self.halves.grid.offsets)
        ends = np.concatenate([accuracy[:, :1], accuracy, -accuracy[:, -1:]], axis=1)
        weights = (ends[:, :-2] - ends[:, 2:]) / 2
        return (shares @ weights[..., None])[..., 0], shares[..., -1]


def _met(head: Half, tail: Half) -> Complex64:
    """(F,) the transform of a space."""
    product = head.transform * tail.transform
    found: Complex64 = product.reshape(-1, product.shape[-1]).sum(axis=0)
    return found
