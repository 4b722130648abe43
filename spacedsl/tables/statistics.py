"""How well predictions agree with a column: R squared and Kendall's tau."""

from __future__ import annotations

import numpy as np

from spacedsl.tables.solve import Floats

CHUNK = 512


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


def _signs(part: Floats, whole: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    left, right = part[:, None], whole[None, :]
    return (left > right).astype(np.int8) - (left < right).astype(np.int8)
