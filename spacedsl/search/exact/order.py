"""What the best of n subnets are worth, from how likely one subnet is that good."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from spacedsl.search.protocols import Floats

POINTS = 4_096
"""Knots of the table of `share`, evenly spaced in the log of n S."""

LEAST = 1e-9
"""Below this n S, the share is n S / m to 1e-9 of itself."""


def exact_share(probability: Floats, samples: int, best: int) -> Floats:
    """(1/m) * sum over j = 1..m of P(Binomial(n, S) >= j) = E[min(Binomial(n, S), m)] / m, for S
    of any shape, n `samples` and m `best`."""
    s = np.clip(np.asarray(probability, dtype=np.float64), 0.0, 1.0)
    if best >= samples:
        return s * (samples / best)
    inside = (s > 0) & (s < 1)
    p = np.where(inside, s, 0.5)
    # sum over k < m of (m - k) P(k): what the best m lack, on average
    lacking = np.zeros_like(p)
    odds, rest = np.log(p), np.log1p(-p)
    for k in range(best):
        chosen = math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
        lacking += (best - k) * np.exp(chosen + k * odds + (samples - k) * rest)
    # where n S is small the above cancels; a sum over k >= 1 does not
    few = np.zeros_like(p)
    above = np.ones_like(p)
    for k in range(1, best + 1):
        chosen = math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
        term = np.exp(chosen + k * odds + (samples - k) * rest)
        few += k * term
        above -= term
    above -= np.exp(samples * rest)
    few += best * np.maximum(above, 0.0)
    share = np.where(p * samples < 0.5, few, best - lacking) / best
    return np.where(inside, share, (s >= 1).astype(np.float64))


class ShareTable:
    """`exact_share` by interpolation between knots in log S: within 1e-6 of it."""

    def __init__(self, samples: int, best: int) -> None:
        self.samples, self.best = samples, best
        self._low = math.log(LEAST / samples)
        logs = np.linspace(self._low, 0.0, POINTS)
        self._step = float(logs[1] - logs[0])
        values = exact_share(np.exp(logs), samples, best)
        self._values = np.append(values, values[-1])
        self._slopes = np.diff(self._values)

    def __call__(self, probability: Floats) -> Floats:
        """Shares of S, any shape; S below 0 or above 1 counts as 0 or 1."""
        low = math.exp(self._low)
        s = np.clip(probability, low, 1.0)
        at = (np.log(s) - self._low) / self._step
        i = at.astype(np.int64)
        share: Floats = self._values[i] + (at - i) * self._slopes[i]
        share[probability <= low] = 0.0
        return share


@lru_cache(maxsize=16)
def share_table(samples: int, best: int) -> ShareTable:
    """The table for n and m."""
    return ShareTable(samples, best)
