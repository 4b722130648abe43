"""Least squares in numpy: non-negative, robust, conjugate gradients and ridge."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Operator = Callable[[Floats], Floats]

ROUNDING = 1e-12
"""Of the greatest of some numbers: what is less may be rounding."""

CLOSE = 1e-3
LEAST_SLOPE = 0.02
"""Knots of a monotone fit lie further apart than this, and rise at least so much."""


def non_negative(gram: Floats, moment: Floats) -> Floats:
    """argmin over x >= 0 of x'Gx / 2 - m'x. `gram` (F, F), `moment` (F,). Which of x are above 0 is
    found one by one (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23)."""
    x, free = np.zeros(len(moment)), np.zeros(len(moment), dtype=bool)
    least = ROUNDING * float(np.abs(moment).max(initial=0.0))
    for _ in range(3 * len(moment)):
        slope = np.where(free, -np.inf, moment - gram @ x)
        if slope.max() <= least:
            break
        free[slope.argmax()] = True
        while free.any():
            step = np.zeros_like(x)
            step[free] = np.linalg.lstsq(gram[np.ix_(free, free)], moment[free], rcond=None)[0]
            below = free & (step <= 0)
            if not below.any():
                break
            x += (x[below] / (x[below] - step[below])).min() * (step - x)
            free &= x > ROUNDING * x.max()
            x[~free] = 0.0
        x = step
    return x


def robust_non_negative(
    features: Floats, target: Floats, *, scale: float = 0.1, rounds: int = 12
) -> Floats:
    """x >= 0 with features @ x near `target` in the sense of log(prediction / target), Cauchy
    weights of width `scale`: a few wild rows do not bend the rest. (N, F), (N,) -> (F,)."""
    weight = 1.0 / target
    x = np.zeros(features.shape[1])
    for _ in range(rounds):
        weighted = features * weight[:, None]
        norm = np.maximum(np.linalg.norm(weighted, axis=0), 1e-12)
        weighted /= norm
        x = non_negative(weighted.T @ weighted, weighted.T @ (target * weight)) / norm
        predicted = np.maximum(features @ x, 1e-3 * target)
        error = np.log(predicted / target)
        weight = 1.0 / np.sqrt(target * predicted * (1.0 + (error / scale) ** 2))
    return x


def conjugate_gradients(
    forward: Operator,
    backward: Operator,
    residual: Floats,
    unknowns: int,
    *,
    iterations: int,
    damping: float = 0.0,
) -> Floats:
    """argmin |forward(x) - residual|^2 + damping |x|^2, from x = 0, so what no row determines
    stays 0. `residual` (N,), result (`unknowns`,)."""
    x = np.zeros(unknowns)
    left = residual.copy()
    gradient = backward(left)
    direction = gradient.copy()
    norm = float(gradient @ gradient)
    for _ in range(iterations):
        if norm < 1e-24:
            break
        image = forward(direction)
        step = norm / float(image @ image + damping * (direction @ direction))
        x += step * direction
        left -= step * image
        gradient = backward(left) - damping * x
        fresh = float(gradient @ gradient)
        direction = gradient + fresh / norm * direction
        norm = fresh
    return x


def sum_at(index: Ints, values: Floats, count: int) -> Floats:
    """Sums of `values` (N,) by `index` (N,) below `count`, (count,)."""
    result: Floats = np.bincount(index, values, count).astype(np.float64, copy=False)
    return result


def ridge(features: Floats, target: Floats, penalty: float) -> tuple[Floats, float]:
    """Coefficients (F,) and intercept of a ridge regression; the intercept is not penalised."""
    center, mean = features.mean(axis=0), float(target.mean())
    gram = features.T @ features - len(target) * np.outer(center, center)
    moment = features.T @ target - len(target) * center * mean
    gram[np.diag_indices_from(gram)] += penalty
    x = np.linalg.solve(gram, moment)
    return x, mean - float(center @ x)


def ridge_path(
    features: Floats, targets: Floats, weight: Floats, penalties: Sequence[float]
) -> tuple[Floats, Floats]:
    """Weighted ridge regressions of T targets (N, T) on features (N, F) for P penalties, weights of
    mean 1: coefficients (P, F, T) and intercepts (P, T), which are not penalised."""
    w = (weight / weight.mean())[:, None]
    center, mean = (w * features).mean(axis=0), (w * targets).mean(axis=0)
    a, b = np.sqrt(w) * (features - center), np.sqrt(w) * (targets - mean)
    if a.shape[0] < a.shape[1]:
        values, vectors = np.linalg.eigh(a @ a.T)
        image, back = vectors.T @ b, a.T @ vectors
    else:
        values, vectors = np.linalg.eigh(a.T @ a)
        image, back = vectors.T @ (a.T @ b), vectors
    values = np.maximum(values, 0.0)[:, None]
    x = np.stack([back @ (image / (values + penalty)) for penalty in penalties])
    return x, mean - np.einsum("f,pft->pt", center, x)


def monotone(x: Floats, y: Floats, *, knots: int) -> tuple[Floats, Floats]:
    """Strictly increasing piecewise-linear fit of y on x (pooled adjacent violators over
    quantile bins): knot positions and values, (K,) each, K <= `knots`."""
    order = np.argsort(x, kind="stable")
    positions = np.array([part.mean() for part in np.array_split(x[order], knots) if len(part)])
    pools: list[tuple[float, int]] = []
    for part in np.array_split(y[order], knots):
        if not len(part):
            continue
        pools.append((float(part.mean()), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, m), (a, n) = pools.pop(), pools.pop()
            pools.append(((a * n + b * m) / (n + m), n + m))
    values = np.concatenate([np.full(count, level) for level, count in pools])
    keep = [0]
    for i in range(1, len(positions)):
        if positions[i] - positions[keep[-1]] > CLOSE:
            keep.append(i)
    positions, values = positions[keep], values[keep]
    if len(keep) == 1:
        positions, values = np.append(positions, positions + 1.0), np.append(values, values)
    for i in range(1, len(values)):
        rise = LEAST_SLOPE * float(positions[i] - positions[i - 1])
        values[i] = max(float(values[i]), float(values[i - 1]) + rise)
    return positions, values
