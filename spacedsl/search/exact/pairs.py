"""Exact scores of many spaces, as pairs of a head and a tail (see `halves`).

Scores are at the detail of searches, in single precision; `PRECISION` says how far they may be from
`ExactScorer`'s at full detail, as a share of the score, which a test and the benchmark measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.search.candidate import Genotype
from spacedsl.search.exact.halves import Complex64, Halves, Part, Singles
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
    """Scores of heads with tails. `limits` and `reached`: the part of the score under each limit,
    and the probability of a subnet under it."""

    def __init__(self, halves: Halves) -> None:
        self.halves = halves
        grid, settings = halves.grid, halves.scorer.settings
        self._lookup = Lookup(settings.samples, settings.best)
        self._top = int(np.argmax(settings.limits_ms))
        self._under = grid.under.astype(np.complex64)
        below = grid.below
        self._below = np.concatenate([below.real, -below.imag]).astype(np.float32)
        self._wrapped = np.float32(grid.wrapped_loss), np.float32(grid.wrapped_latency)
        self._q = grid.q

    def score(self, genotype: Genotype) -> float:
        """The score of one space."""
        return float(self.limits(genotype).sum())

    def limits(self, genotype: Genotype) -> Floats:
        """(T,) the parts of one space's score."""
        head, tail = self.split(genotype)
        met = np.multiply(head.transform, tail.transform).sum(axis=(0, 1))
        least = float((head.least + tail.least).min())
        found: Floats = self._parts(met[None], np.array([least]))[0]
        return found

    def split(self, genotype: Genotype) -> tuple[Part, Part]:
        """The head and tail of a space."""
        cut = self.halves.cut
        window = genotype[cut - 1][1] if cut else 0
        return self.halves.head(genotype[:cut]), self.halves.tail(window, genotype[cut:])

    def scores(self, heads: Sequence[Part], tails: Sequence[Part]) -> Floats:
        """(N,) scores of N heads with as many tails."""
        found = [np.empty(0)]
        for i in range(0, len(heads), AT_ONCE):
            some = list(zip(heads[i : i + AT_ONCE], tails[i : i + AT_ONCE], strict=True))
            met = [np.multiply(h.transform, t.transform).sum(axis=(0, 1)) for h, t in some]
            least = [float((h.least + t.least).min()) for h, t in some]
            found.append(self._parts(np.stack(met), np.array(least)).sum(axis=1))
        return np.concatenate(found)

    def _parts(self, met: Complex64, least: Floats) -> Floats:
        """(N, T) of transforms (N, F) whose least losses are (N,)."""
        count, q = len(met), len(self._q)
        shift = np.exp(np.multiply.outer(least - self.halves.least_loss, self._q))
        under = self._under @ met.reshape(count, -1, q)  # (N, T, 2 J + 1)
        under *= shift[:, None].astype(np.complex64)
        waves = np.concatenate([under.real, under.imag], axis=2)
        found = waves @ self._below
        wrapped_loss, wrapped_latency = self._wrapped
        found -= wrapped_loss * (found[..., -1:] - found)
        found -= wrapped_latency * (found[:, self._top, None] - found)
        shares = self._lookup(found)
        accuracy = 1.0 / (least[:, None] + self.halves.grid.offsets)
        weights = np.empty_like(accuracy)
        weights[:, 1:-1] = (accuracy[:, :-2] - accuracy[:, 2:]) / 2
        weights[:, 0] = (accuracy[:, 0] - accuracy[:, 1]) / 2
        weights[:, -1] = (accuracy[:, -2] + accuracy[:, -1]) / 2
        return np.asarray(np.einsum("ntp,np->nt", shares, weights))
