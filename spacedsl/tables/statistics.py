"""How far columns of numbers reach, and how well predictions agree with one: R squared and
Kendall's tau."""

from __future__ import annotations

import numpy as np

from spacedsl.tables.solve import Floats

CHUNK = 512

BEST_PART, FEWEST_BEST = 100, 5
"""The best networks by prediction: one in so many, but at least so many."""


def r_squared(truth: Floats, predicted: Floats) -> float:
    """Share of the variance explained, 1 at best; (N,) each."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / spread if spread > 0 else float("nan")


def kendall_tau(truth: Floats, predicted: Floats) -> float:
    """Kendall's tau-b (ties corrected); (N,) each. Quadratic, in chunks of small integers."""
    agreement = ties_truth = ties_predicted = 0
    for start in range(0, len(truth), CHUNK):
        part = slice(start, start + CHUNK)
        a = _signs(truth[part], truth)
        b = _signs(predicted[part], predicted)
        agreement += int((a * b).sum(dtype=np.int64))
        ties_truth += int((a != 0).sum())
        ties_predicted += int((b != 0).sum())
    untied = float(ties_truth) * float(ties_predicted)
    return agreement / untied**0.5 if untied > 0 else float("nan")


def optimism_of(measured: Floats, predicted: Floats) -> float:
    """By how much networks that were chosen for their prediction were worse than predicted, on
    average and at least 0; (N,) each, of networks that the predictions had not seen."""
    best = np.argsort(-predicted, kind="stable")[: max(len(predicted) // BEST_PART, FEWEST_BEST)]
    return round(max(float((predicted - measured)[best].mean()), 0.0), 4)


def extent(values: Floats) -> tuple[float, float]:
    """The least and the greatest of (N,)."""
    return float(values.min()), float(values.max())


def _signs(part: Floats, whole: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    left, right = part[:, None], whole[None, :]
    return (left > right).astype(np.int8) - (left < right).astype(np.int8)
