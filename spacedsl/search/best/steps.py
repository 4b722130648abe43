"""The least loss that can follow, by the latency that is left: on a grid of steps, latencies and
losses rounded down, so that it bounds the true one from below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.exact.front import Front
from spacedsl.search.protocols import Floats, Ints

Singles = NDArray[np.float32]

ROUNDING = 1e-12
"""Of a latency: what sums in another order may differ by."""


def lower(least: Floats, front: Front, rest: Floats, step_ms: float) -> None:
    """`least` is the least loss for every number of steps that are left, (steps + 1,), and `rest`
    the same of what comes after. Lower it where a configuration of a front, with the rest after it,
    loses less."""
    most = len(least) - 1
    new = np.ones(len(front.ms), dtype=bool)  # better than all that are faster
    new[1:] = front.loss[1:] < np.minimum.accumulate(front.loss)[:-1]
    steps, losses = np.floor(front.ms[new] / step_ms).astype(np.int64), front.loss[new]
    last = np.append(steps[1:] > steps[:-1], True) & (steps <= most)
    for k, loss in zip(steps[last].tolist(), losses[last].tolist(), strict=True):
        np.minimum(least[k:], loss + rest[: most + 1 - k], out=least[k:])


def rounded_down(losses: Floats) -> Singles:
    """In single precision, below the true ones."""
    down = np.nextafter(losses.astype(np.float32), np.float32(-np.inf))
    return np.where(np.isinf(losses), np.float32(np.inf), down)


def steps_within(ms: Floats, step_ms: float, steps: int) -> Ints:
    """How many steps latencies in ms hold, at most `steps`; -1 where there is nothing left."""
    return np.clip(np.floor(ms * (1 + ROUNDING) / step_ms).astype(np.int64), -1, steps)
