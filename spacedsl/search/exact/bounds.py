"""Upper bounds on the scores of many spaces at once.

Under a limit a score is the integral over losses l of f(S(l)) / l^2, where S(l) is the probability
of a subnet under the limit with loss at most l, and f(S) = E[min(Binomial(n, S), m)] / m.
f is concave: it is the Bernstein polynomial of the concave min(k, m) / m. So for any
slopes p(l), and with f*(p) the greatest of f(S) - p S over S,

    integral of f(S(l)) / l^2  <=  integral of f*(p(l)) / l^2  +  integral of p(l) S(l) / l^2

for every space, with equality where p is f' at the space's own S: a tangent. The right side is
linear in S, so it is one inner product of a head's and a tail's transforms, which a product of
matrices gives for all pairs of many heads and many tails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spacedsl.search.exact.grid import Complexes, Grid
from spacedsl.search.exact.order import exact_share
from spacedsl.search.protocols import Floats

STEPS = 1_024
"""Points of the integrals over losses."""

KNOTS = 20_001
"""Points of the table of slopes."""

LEAST = 1e-9
"""Where the table starts: below this n S, f is a straight line to 1e-9."""


REACH = 0.97
"""Share of the period of losses that bounds integrate over."""


@dataclass(frozen=True, slots=True)
class Tangent:
    """`constant` + Re sum of `weights` (K + 1, 2 J + 1) times a space's transform, shifted by the
    axis' least loss, is at least the space's score."""

    constant: float
    weights: Complexes


@dataclass(frozen=True)
class Axis:
    """Losses (STEPS,) over which bounds integrate, and dl / l^2 there."""

    losses: Floats

    @property
    def measure(self) -> Floats:
        """(STEPS,) by the rule of trapezoids."""
        step = float(self.losses[1] - self.losses[0])
        weights = step / self.losses**2
        weights[[0, -1]] /= 2
        return weights


def axis(least: float, grid: Grid) -> Axis:
    """From the least loss of any space to the end of what the grid resolves."""
    return Axis(np.linspace(least, least + REACH * grid.period_loss, STEPS))


@lru_cache(maxsize=16)
def _slopes(samples: int, best: int) -> tuple[Floats, Floats, Floats]:
    """S in (0, 1], f(S) and f'(S)."""
    s = np.exp(np.linspace(np.log(LEAST / samples), 0.0, KNOTS))
    share = exact_share(s, samples, best)
    # the derivative of a Bernstein polynomial: n times that of n - 1 of the differences
    slope = samples / best * _few(s, samples - 1, best)
    return s, share, np.minimum.accumulate(slope)


def _few(s: Floats, samples: int, best: int) -> Floats:
    """P(Binomial(n, S) < m) = m E[min(B, m)] / m - (m - 1) E[min(B, m - 1)] / (m - 1) from 1."""
    if best > samples:
        return np.ones_like(s)
    above = best * exact_share(s, samples, best)
    below = (best - 1) * exact_share(s, samples, best - 1) if best > 1 else 0.0
    return np.clip(1.0 - (above - below), 0.0, 1.0)


def conjugate(slopes: Floats, samples: int, best: int) -> Floats:
    """f*(p) = max over S in 0..1 of f(S) - p S, for slopes p of any shape."""
    s, share, slope = _slopes(samples, best)
    at = np.clip(np.searchsorted(-slope, -slopes), 1, len(s) - 1)
    # between two knots a concave function is below both tangents; they meet here
    s0, s1, g0, g1 = s[at - 1], s[at], slope[at - 1], slope[at]
    apart = np.where(g0 - g1 > 1e-12 * g0, g0 - g1, np.inf)
    meet = np.clip((share[at] - share[at - 1] + g0 * s0 - g1 * s1) / apart, s0, s1)
    between = share[at - 1] + g0 * (meet - s0) - slopes * meet
    ends = np.maximum(share[at - 1] - slopes * s0, share[at] - slopes * s1)
    return np.maximum(np.maximum(between, ends), 0.0)


def probability(transform: Complexes, least: float, along: Axis, grid: Grid) -> Floats:
    """(T, STEPS): S of a space whose least loss is `least`, from its transform (K + 1, 2 J + 1)."""
    under, below = _ways_back(along, grid)
    found = np.clip(((under @ transform) @ below).real, 0.0, 1.0)
    return np.maximum.accumulate(np.where(along.losses < least, 0.0, found), axis=1)


def _ways_back(along: Axis, grid: Grid) -> tuple[Complexes, Complexes]:
    """(T, K + 1) and (2 J + 1, STEPS): from transforms to probabilities, what wraps round
    subtracted."""
    below = grid.below_at(along.losses - along.losses[0])
    below = below - grid.wrapped_loss * (below[:, -1:] - below)
    under, top = grid.under, int(np.argmax(grid.limits_ms))
    return under - grid.wrapped_latency * (under[top] - under), below


def tangent(reference: Floats, along: Axis, grid: Grid, samples: int, best: int) -> Tangent:
    """The tangent at S (T, STEPS) of a reference, which need not be a space."""
    s, _, slope = _slopes(samples, best)
    slopes = np.interp(np.log(np.maximum(reference, s[0])), np.log(s), slope)
    measure = along.measure
    constant = float((conjugate(slopes, samples, best) @ measure).sum())
    constant += len(reference) / float(along.losses[-1])  # f is at most 1 beyond the axis
    under, below = _ways_back(along, grid)
    weights = under.T @ ((slopes * measure) @ below.T)
    return Tangent(constant, np.asarray(weights))
