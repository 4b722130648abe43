"""Frequencies at which joint distributions of latency and loss are known, and the way back.

A distribution of (latency t, loss l) is kept as its transform E[exp(-s t - q l)] at

    s = alpha + 2 pi i k / P_t,  k = 0..K        q = beta + 2 pi i j / P_l,  j = -J..J

because the transform of a sum of independent parts is the product of theirs, exactly. The way back
is a Fourier series (Dubner and Abate 1968, in two dimensions) of the tilted distribution, with a
smooth filter: nothing wraps round from below, as evaluation stays within a period of the least
latency and loss; what wraps round from above is damped by exp(-alpha P_t) and exp(-beta P_l)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.protocols import Floats

Complexes = NDArray[np.complex128]

USED = 0.85
"""Share of a period in which distributions are evaluated; the rest keeps the filter's reach away
from the other end."""

FILTER, FILTER_ORDER = 20.0, 10
"""Frequencies are weighed by exp(-FILTER (k / K)^FILTER_ORDER)."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How fine: `latency` K, `loss` J, `inner` frequencies for the sum before a stage's link (on
    either side of 0), `points` of the loss axis, `damping` (alpha P_t, beta P_l)."""

    latency: int
    loss: int
    inner: int
    points: int
    damping: tuple[float, float]


FINE = Detail(56, 48, 64, 320, (24.0, 16.0))
"""For one space: the result, whose error is measured against `COARSE`."""

COARSE = Detail(40, 34, 48, 224, (21.0, 14.0))

SEARCH = Detail(17, 20, 48, 64, (14.0, 10.0))
"""For many spaces."""


MOST_EXPONENT = 700.0
"""What a double holds the exponential of: where latencies spread little, the period is longer than
they need."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where sums lie: least and greatest latency in ms, and the greatest less the least loss."""

    least_ms: float
    most_ms: float
    loss_spread: float


@dataclass(frozen=True)
class Grid:
    """The frequencies for some limits (ms) and an extent."""

    limits_ms: tuple[float, ...]
    extent: Extent
    detail: Detail

    @cached_property
    def period_ms(self) -> float:
        """P_t."""
        least = self.extent.least_ms
        top = min(max(self.limits_ms), self.extent.most_ms)
        spread = max(top - least, 1e-3 * max(least, 1e-6)) / USED
        return max(spread, self.detail.damping[0] * top / MOST_EXPONENT)

    @cached_property
    def period_loss(self) -> float:
        """P_l."""
        return max(self.extent.loss_spread, 1e-9) / USED

    @cached_property
    def s(self) -> Complexes:
        """(K + 1,) in 1 / ms."""
        k = np.arange(self.detail.latency + 1)
        return np.asarray((self.detail.damping[0] + 2j * np.pi * k) / self.period_ms)

    @cached_property
    def q(self) -> Complexes:
        """(2 J + 1,) in 1 / loss."""
        j = np.arange(-self.detail.loss, self.detail.loss + 1)
        return np.asarray((self.detail.damping[1] + 2j * np.pi * j) / self.period_loss)

    @cached_property
    def offsets(self) -> Floats:
        """(points,) losses above the least one."""
        return np.linspace(0.0, self.extent.loss_spread, self.detail.points)

    @cached_property
    def under(self) -> Complexes:
        """(T, K + 1): from transforms to P(latency <= limit), half the frequencies standing for
        all. Rows of limits below the least latency are 0."""
        limits = np.minimum(self.limits_ms, self.extent.most_ms)
        scale = np.exp(np.outer(limits, self.s)) * -np.expm1(-self.detail.damping[0])
        k = np.arange(self.detail.latency + 1)
        weights = np.where(k == 0, 1.0, 2.0) * _filter(k, self.detail.latency)
        reached = np.asarray(self.limits_ms) >= self.extent.least_ms
        return np.asarray(reached[:, None] * scale * weights / (self.s * self.period_ms))

    @cached_property
    def below(self) -> Complexes:
        """(2 J + 1, points): from transforms to P(loss <= offset), for transforms that were shifted
        by the least loss."""
        return self.below_at(self.offsets)

    def below_at(self, offsets: Floats) -> Complexes:
        """(2 J + 1, N): as `below`, at other offsets (N,)."""
        j = np.arange(-self.detail.loss, self.detail.loss + 1)
        weights = _filter(j, self.detail.loss) * -np.expm1(-self.detail.damping[1])
        scale = weights / (self.q * self.period_loss)
        return np.asarray(scale[:, None] * np.exp(np.outer(self.q, offsets)))

    @property
    def wrapped_latency(self) -> float:
        """Share of what lies above a limit that wraps round to below it."""
        return float(np.exp(-self.detail.damping[0]))

    @property
    def wrapped_loss(self) -> float:
        """Share of what lies above a loss that wraps round to below it."""
        return float(np.exp(-self.detail.damping[1]))


def _filter(index: NDArray[np.int64], last: int) -> Floats:
    return np.asarray(np.exp(-FILTER * (np.abs(index) / (last + 1)) ** FILTER_ORDER))
