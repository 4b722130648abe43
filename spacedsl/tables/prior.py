"""A parametric latency of kernels: what stands in where nothing was measured.

Per kernel kind: a fixed cost, plus multiply-accumulates, elements read, elements written and
weights, each times a non-negative coefficient in milliseconds. Convolutions share all but the
throughput over kernel sizes above 1; so do depthwise convolutions. Fitted to whole rows, robustly,
because the published x86 table holds gross outliers. What no row contains borrows: fc is a
convolution 1x1 on one pixel, a global pool reads like an add, a window pool works like a depthwise
convolution, an activation never measured costs like the swish that was, what only moves channels
reads like an add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import area
from spacedsl.passes.kernels import ABSORBED, Kernel
from spacedsl.tables.solve import Floats, robust_non_negative

FAR_OUTSIDE = 4.0
"""A kernel is not estimated where a feature exceeds the greatest fitted one this many times."""

ACTS = ACTIVATIONS.keys() - ABSORBED

MOVES = ("concat", "split", "channel-shuffle", "upsample")
"""Kernels that only move numbers."""

BORROWS = {
    "fc": "conv-bn-relu",
    "global-avgpool": "add",
    "maxpool": "dwconv-bn-relu",
    "avgpool": "dwconv-bn-relu",
    **{act: "hswish" if act == "swish" else "swish" for act in ACTS},
    "add": "add-relu",
    "add-relu": "add",
    **dict.fromkeys(MOVES, "add"),
}

ELEMENTWISE = frozenset({*ACTS, "add", "add-relu"})

Features = tuple[tuple[str, float], ...]


def features(kernel: Kernel, kind: str) -> Features:
    """Feature names and values of `kernel`, taken as if it were of `kind`. Empty if unknown."""
    cin, cout, window, stride = kernel.cin, kernel.cout, kernel.kernel, kernel.stride
    pixels, out, taps = area(kernel.size), area(kernel.out_size), area(window)
    if kind == "conv-bn-relu":
        form = "conv1" if window == 1 else "convk"
        macs = out * cin * cout * taps
        return (
            (f"{form} fixed", 1.0),
            (f"conv{window} stride{stride} 1e6 macs", macs / 1e6),
            (f"{form} 1e4 in", pixels * cin / 1e4),
            (f"{form} 1e4 out", out * cout / 1e4),
            (f"{form} 1e5 weights", cin * cout * taps / 1e5),
        )
    if kind == "dwconv-bn-relu":
        return (
            ("dwconv fixed", 1.0),
            (f"dwconv{window} stride{stride} 1e5 macs", out * cin * taps / 1e5),
            ("dwconv 1e4 in", pixels * cin / 1e4),
            ("dwconv 1e4 out", out * cin / 1e4),
            ("dwconv 1e3 weights", cin * taps / 1e3),
        )
    if kind == "se" or kind.startswith("se-"):
        return (
            (f"{kind} fixed", 1.0),
            (f"{kind} 1e4 in", pixels * cin / 1e4),
            (f"{kind} 1e4 weights", 2 * cin * cout / 1e4),
            (f"{kind} 100 channels", cin / 100),
        )
    if kind in ELEMENTWISE:
        return ((f"{kind} fixed", 1.0), (f"{kind} 1e4 elements", pixels * cin / 1e4))
    return ()


@dataclass(frozen=True, slots=True)
class Prior:
    """`coefficients`: milliseconds per unit of a feature; `limits`: the greatest value of it in
    one fitted kernel."""

    coefficients: Mapping[str, float]
    limits: Mapping[str, float]

    def kernel_ms(self, kernel: Kernel) -> float:
        """Estimated milliseconds; NaN where the kind is unknown or the size far outside."""
        for kind in (kernel.kind, BORROWS.get(kernel.kind, "")):
            found = features(kernel, kind)
            if found and all(name in self.coefficients for name, _ in found):
                inside = all(value <= FAR_OUTSIDE * self.limits[name] for name, value in found)
                total = sum(self.coefficients[name] * value for name, value in found)
                return total if inside else float("nan")
        return float("nan")

    def ms(self, kernels: Iterable[Kernel]) -> float:
        """Estimated milliseconds of a run of kernels; NaN where any is not estimated."""
        return sum(self.kernel_ms(kernel) for kernel in kernels)


def feature_matrix(kernels: Sequence[Kernel]) -> tuple[tuple[str, ...], Floats]:
    """Names (F,) and values (K, F) of the features of kernels, each as its own kind."""
    found = [features(kernel, kernel.kind) for kernel in kernels]
    names = tuple(sorted({name for one in found for name, _ in one}))
    column = {name: j for j, name in enumerate(names)}
    matrix = np.zeros((len(kernels), len(names)))
    for i, one in enumerate(found):
        for name, value in one:
            matrix[i, column[name]] += value
    return names, matrix


def fit_prior(kernels: Sequence[Kernel], row_features: Floats, target: Floats) -> Prior:
    """Fit to rows. `kernels`: the distinct ones, `row_features` (N, F): their features (in the
    order of `feature_matrix`) summed over each row, `target` (N,) milliseconds."""
    names, matrix = feature_matrix(kernels)
    coefficients = robust_non_negative(row_features, target)
    greatest = matrix.max(axis=0)
    return Prior(
        {name: float(value) for name, value in zip(names, coefficients, strict=True)},
        {name: float(value) for name, value in zip(names, greatest, strict=True)},
    )
