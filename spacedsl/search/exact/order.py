"""What the best of n subnets are worth, from how likely one subnet is that good."""

from __future__ import annotations

import math

import numpy as np

from spacedsl.search.protocols import Floats


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
