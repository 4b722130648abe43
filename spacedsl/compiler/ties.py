"""Output scales without exact ties.

An elementwise op rescales whole numbers: a sum is `a x + b y` steps of its output, with the ratios
`a` and `b` of the scales. Where both ratios are one half, every other pair (x, y) lies exactly
between two steps. There the rounding of a runtime decides: an eighth to a quarter of all elements
came out a step off the reference, on x86 and on ARM, and not the same elements. A scale a
thousandth narrower has no such ties, and clips the greatest value by a quarter of a step at most.

Scales from ranges can be in simple ratios, since two relu6 that both reach 6 sum to 12. Learned
scales are arbitrary real numbers and need no such care."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import Quantiser

NEAR = 2e-5
"""So near to a tie, in steps, fixed point on ARM decided otherwise (seen: up to 1.4e-5)."""

MOST = 2e-4
"""The greatest share of inputs that may lie so near; by chance it is a fifth of that."""

ROUNDS = ("add", "mul", "shift", "concat")
"""Ops that rescale whole numbers, all but a concat of one quantiser."""

NARROWER = 1 - 2**-10
TRIES = 16


def without_ties(node: Int8Node, readers: Sequence[Quantiser], found: Quantiser) -> Quantiser:
    """The quantiser `found` of an op whose inputs have the quantisers `readers`, a little
    narrower where the op would round exact ties."""
    if node.op not in ROUNDS or node.shared or node.fixed is not None:
        return found
    for _ in range(TRIES):
        if tie_share(node, readers, found) <= MOST:
            break
        scale = float(np.float32(found.write * NARROWER))
        found = found.model_copy(update={"write": scale, "read": scale})
    return found


def tie_share(node: Int8Node, readers: Sequence[Quantiser], found: Quantiser) -> float:
    """The share of the possible inputs of an elementwise op, or of the joining of channels, whose
    result lies near a tie and is not clipped."""
    steps = _results(node, readers) / found.write
    low, high = -found.zero_point, QMAX - found.zero_point
    near = np.abs(steps - np.floor(steps) - 0.5) < NEAR
    return float((near & (steps > low) & (steps < high)).mean())


def _results(node: Int8Node, readers: Sequence[Quantiser]) -> NDArray[np.float64]:
    x, *more = ((np.arange(QMAX + 1.0) - r.zero_point) * r.read for r in readers)
    match node.op:
        case "concat":
            return np.concatenate([x, *more])
        case "add":
            return np.add.outer(x, more[0])
        case "mul":
            return np.multiply.outer(x, more[0])
        case _:
            return x + node.offset
