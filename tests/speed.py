"""Bounds of processor time that hold on a busy machine too."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOP_SECONDS = 0.05
"""What `_loop` takes on an idle core on which the bounds are meant."""


def within(limit: float, seconds: Callable[[], float]) -> bool:
    """Whether something takes less than `limit` seconds of processor time. A busy neighbour slows a
    core: one of three times has to be within it, with the limit as much larger as a loop beside it
    is slower."""
    return any(seconds() < limit * max(1, _loop() / LOOP_SECONDS) for _ in range(3))


def _loop() -> float:
    """The seconds of processor time of some work on small objects."""
    began = time.process_time()
    found: dict[int, tuple[int, str]] = {}
    for i in range(200_000):
        found[i & 1023] = (i, str(i & 255))
        if isinstance(found.get(i), tuple):
            found.pop(i)
    return time.process_time() - began
