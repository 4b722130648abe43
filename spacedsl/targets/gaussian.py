"""Gaussian-process regression of log times: a linear mean, a Matern covariance, known noise.

Chosen over tree ensembles: with as many samples its error on unseen networks was a third smaller,
its uncertainty says where to measure next, and numpy is all it needs (docs/targets.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from spacedsl.search.protocols import Floats, Ints

RIDGE = 1e-2
LENGTHS = (1.0, 1.7, 3.0, 5.0)
AMPLITUDES = (0.1, 0.2, 0.4, 0.8)
FLOOR = 0.01
"""Standard deviation that no repetition removes: networks differ in what they leave in caches."""

MOST_POINTS = 2500
"""Solving takes time with their cube. Of more samples those of a random subset are kept."""

TUNING_POINTS = 500
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Gaussian:
    """`points` (N, D) in scaled features, `weights` (N,): of the covariance with each; `linear`
    (B,): of the mean's features; `factor` (N, N): the inverse Cholesky factor, for variances."""

    points: Floats
    weights: Floats
    linear: Floats
    length: float
    amplitude: float
    factor: Floats | None = None

    @classmethod
    def fit(
        cls, points: Floats, basis: Floats, values: Floats, noise: Floats, most: int | None = None
    ) -> tuple[Self, Ints]:
        """Fit to `values` (M,) at `points` (M, D) with mean features `basis` (M, B) and standard
        deviations `noise` (M,); samples of one point are averaged first. Also the samples (N,)
        whose points are kept, at most `most`."""
        first, values, variance = _distinct(points, values, noise)
        points, basis = points[first], basis[first]
        linear = _ridge(basis, values, 1 / (variance + 0.1**2))
        rest = values - basis @ linear
        order = np.random.default_rng(0).permutation(len(points))
        some = order[:TUNING_POINTS]
        length, amplitude = _tuned(points[some], rest[some], variance[some])
        kept = np.sort(order[: most or MOST_POINTS])
        points, rest, variance = points[kept], rest[kept], variance[kept]
        covariance = amplitude**2 * matern(points, points, length)
        factor = np.linalg.inv(np.linalg.cholesky(covariance + np.diag(variance)))
        weights = factor.T @ (factor @ rest)
        return cls(points, weights, linear, length, amplitude, factor), first[kept]

    def mean(self, points: Floats, basis: Floats) -> Floats:
        """(M,) expected values."""
        found: Floats = basis @ self.linear
        for part in _chunks(len(points)):
            covariance = matern(points[part], self.points, self.length)
            found[part] += self.amplitude**2 * (covariance @ self.weights)
        return found

    def deviation(self, points: Floats) -> Floats:
        """(M,) standard deviations of the expected values; only of a model fitted here."""
        if self.factor is None:
            raise ValueError("a model that was read from a file has no deviations")
        found: Floats = np.empty(len(points))
        for part in _chunks(len(points)):
            covariance = self.amplitude**2 * matern(points[part], self.points, self.length)
            known = np.square(covariance @ self.factor.T).sum(axis=1)
            found[part] = np.sqrt(np.maximum(self.amplitude**2 - known, 0.0))
        return found


def matern(a: Floats, b: Floats, length: float) -> Floats:
    """(A, B) correlations, once differentiable, of points (A, D) and (B, D)."""
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    distance = np.sqrt(3 * np.maximum(squares, 0.0)) / length
    found: Floats = (1 + distance) * np.exp(-distance)
    return found


def _distinct(points: Floats, values: Floats, noise: Floats) -> tuple[Ints, Floats, Floats]:
    """One sample of each distinct point, the mean of the point's values, and its variance."""
    _, first, at = np.unique(points, axis=0, return_index=True, return_inverse=True)
    at = at.ravel()
    precision = np.bincount(at, 1 / np.square(noise))
    mean = np.bincount(at, values / np.square(noise)) / precision
    return first, mean, 1 / precision + FLOOR**2


def _ridge(basis: Floats, values: Floats, weights: Floats) -> Floats:
    left = (basis.T * weights) @ basis + RIDGE * np.eye(basis.shape[1])
    return np.asarray(np.linalg.solve(left, (basis.T * weights) @ values))


def _tuned(points: Floats, rest: Floats, variance: Floats) -> tuple[float, float]:
    """Length and amplitude of the greatest marginal likelihood on a grid."""
    best = (-np.inf, LENGTHS[0], AMPLITUDES[0])
    for length in LENGTHS:
        correlation = matern(points, points, length)
        for amplitude in AMPLITUDES:
            lower = np.linalg.cholesky(amplitude**2 * correlation + np.diag(variance))
            white = np.linalg.solve(lower, rest)
            likelihood = -0.5 * white @ white - np.log(np.diag(lower)).sum()
            best = max(best, (float(likelihood), length, amplitude))
    return best[1], best[2]


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))
