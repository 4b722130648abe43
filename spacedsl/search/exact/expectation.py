"""The Q-T score as an expectation: no subnets are drawn, so there is no seed and no noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spacedsl.search.exact.grid import Complexes, Grid
from spacedsl.search.exact.operators import StageOperator
from spacedsl.search.exact.order import exact_share
from spacedsl.search.protocols import Floats
from spacedsl.search.space_score import LimitScore, SpaceScore, score_json


@dataclass(frozen=True)
class ExactScore(SpaceScore):
    """An exact score. `method`: `enumerated` (every subnet, no error but rounding) or `transform`.
    `error`: how far the score may be off, absolute: the change from a coarser grid, an upper bound
    as long as refining converges, and 0 where enumerated. A limit's `missing` is the expected
    number."""

    method: str
    error: float


def exact_json(result: ExactScore) -> dict[str, Any]:
    """Plain data, as `score_json`; there is no seed and no share of coverage of what was drawn."""
    data = score_json(result)
    del data["seed"], data["coverage"]
    return {**data, "exact": True, "method": result.method, "error": result.error}


def joint(
    operators: Sequence[StageOperator], fixed_ms: Floats, grid: Grid
) -> tuple[Complexes, float]:
    """The transform (K + 1, 2 J + 1) of a space's latency and loss, and its least loss. `fixed_ms`
    (R,): latency of the other parts per resolution."""
    start = np.exp(-np.outer(fixed_ms, grid.s)) / len(fixed_ms)
    state: Complexes = np.repeat(start[:, None, :, None], len(grid.q), axis=3)
    least = np.zeros((len(fixed_ms), 1))
    for operator in operators:
        if state.shape[1] > operator.transform.shape[1]:  # a fixed stage comes between
            state = state.sum(axis=1, keepdims=True)
            least = least.min(axis=1, keepdims=True)
        state = chained(state, operator.transform)
        least = (least[:, :, None] + operator.least_loss).min(axis=1)
    return np.asarray(state.sum(axis=(0, 1))), float(least.min())


def chained(state: Complexes, transform: Complexes) -> Complexes:
    """(R, W, s, q): a stage after `state` (R, C, s, q)."""
    total = state[:, 0, None] * transform[:, 0]
    for c in range(1, state.shape[1]):
        total += state[:, c, None] * transform[:, c]
    return total


def probabilities(transform: Complexes, least: float, grid: Grid) -> Floats:
    """(T, points): P(latency <= limit and loss <= least + offset), from a space's transform."""
    shifted = (grid.under @ transform) * np.exp(grid.q * least)
    found = (shifted @ grid.below).real
    found -= grid.wrapped_loss * (found[:, -1:] - found)
    top = int(np.argmax(grid.limits_ms))
    found -= grid.wrapped_latency * (found[top] - found)
    return np.maximum.accumulate(np.clip(found, 0.0, 1.0), axis=1)


def expected_best(probability: Floats, losses: Floats, samples: int, best: int) -> Floats:
    """(T,) scores Q(A, T): the integral over x of (1/m) sum over j of P(Binomial(n, S(x)) >= j),
    where S (T, points) is the probability of a subnet under the limit with 1 / loss above x. Linear
    between `losses` (points,), constant above the last."""
    share = exact_share(probability, samples, best)
    accuracy = 1.0 / losses
    parts = (accuracy[:-1] - accuracy[1:]) * (share[:, 1:] + share[:, :-1]) / 2
    return np.asarray(parts.sum(axis=1) + share[:, -1] * accuracy[-1])


def limit_scores(
    limits_ms: Sequence[float], scores: Floats, reached: Floats, samples: int, best: int
) -> tuple[LimitScore, ...]:
    """`reached` (T,): the probability of a subnet under each limit."""
    share = exact_share(reached, samples, best)
    return tuple(
        LimitScore(limit, float(score), best * (1.0 - float(there)))
        for limit, score, there in zip(limits_ms, scores, share, strict=True)
    )


def total(limits: Sequence[LimitScore]) -> float:
    """Q-T(A)."""
    return math.fsum(limit.score for limit in limits)
