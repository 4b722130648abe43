"""The least loss that can follow, by the latency that is left: on a grid of steps, latencies and
losses rounded down, so that it bounds the true one from below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spacedsl.search.exact.front import Front
from spacedsl.search.protocols import Floats, Ints

Singles = NDArray[np.float32]

ROUNDING = 1e-12
"""Of a latency: what sums in another order may differ by."""


def least_after(fronts: Sequence[Front], rests: Sequence[Singles], step_ms: float) -> Singles:
    """The least loss for every number of steps that are left, (steps + 1,), of configurations of
    some fronts; `rests`: the same of what comes after each of the fronts."""
    steps, found = len(rests[0]) - 1, []
    for front, rest in zip(fronts, rests, strict=True):
        new = np.ones(len(front.ms), dtype=bool)  # better than all that are faster
        new[1:] = front.loss[1:] < np.minimum.accumulate(front.loss)[:-1]
        taken = np.floor(front.ms[new] / step_ms).astype(np.int64)
        last = np.append(taken[1:] > taken[:-1], True) & (taken <= steps)
        before = np.concatenate([np.full(steps, np.inf, dtype=np.float32), rest])
        sums = sliding_window_view(before, steps + 1)[steps - taken[last]]
        sums += rounded_down(front.loss[new][last])[:, None]
        found.append(sums.min(axis=0, initial=np.float32(np.inf)))
    return rounded_down(np.min(found, axis=0))


def rounded_down(losses: Floats | Singles) -> Singles:
    """In single precision, below the true ones."""
    down = np.nextafter(losses.astype(np.float32), np.float32(-np.inf))
    return np.where(np.isinf(losses), np.float32(np.inf), down)


def steps_within(ms: Floats, step_ms: float, steps: int) -> Ints:
    """How many steps latencies in ms hold, at most `steps`; -1 where there is nothing left."""
    return np.clip(np.floor(ms * (1 + ROUNDING) / step_ms).astype(np.int64), -1, steps)
