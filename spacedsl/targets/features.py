"""What the latency of a kernel is predicted from: nn-Meter's features [HW, Cin, Cout, K, S, MFLOPs,
Mparams] in logarithms, bytes moved, and how channels fill the vector registers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.operators.size import area, as_number
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Floats

DENSE = ("conv-bn-relu", "fc")
WINDOWED = ("dwconv-bn-relu", "maxpool", "avgpool")
REMAINDERS = ((4, 1.0), (16, 0.7), (32, 0.4), (64, 0.3))
"""Channels that do not fill a register of this many bytes, and how far apart that puts kernels."""

ROWS = (4, 6, 7, 16)
"""Pixels that matrix kernels take at a time: the rest of an output costs as much as a full set."""

ROWS_APART = 2.0
"""How far apart it puts kernels, for each unit of the logarithm, that the rest costs so much."""


def group_of(kernel: Kernel) -> str:
    """The kernels that share one regression. Convolutions on one pixel read weights and little
    else; those on the image carry its quantiser and transpose."""
    if kernel.groups > 1:
        return "grouped conv"
    kind = kernel.kind
    if kind == "conv-bn-relu":
        if kernel.cin <= 4:
            return "image conv"
        window = "conv 1x1" if kernel.kernel == 1 else "conv"
        return f"{window} on a pixel" if kernel.size == 1 else window
    return f"{kind} on a pixel" if kernel.size == 1 and kind != "fc" else kind


def work_of(kernel: Kernel) -> tuple[float, float, float, float]:
    """Multiply-accumulates (element operations where there are none), elements read, elements
    written, weights."""
    kind, cin, cout, taps = kernel.kind, kernel.cin, kernel.cout, area(kernel.kernel)
    pixels, out = area(kernel.size), area(kernel.out_size)
    if kind in DENSE or kernel.groups > 1:
        weights = cin // kernel.groups * cout * taps
        return out * weights, pixels * cin, out * cout, weights
    if kind in WINDOWED:
        return out * cin * taps, pixels * cin, out * cin, cin * taps
    if kind.startswith("se"):
        return 2 * cin * cout + 2 * pixels * cin, 2 * pixels * cin, pixels * cin, 2 * cin * cout
    return pixels * cin, pixels * cin, out * cout, 1.0


def features(kernels: Sequence[Kernel]) -> tuple[Floats, Floats]:
    """Scaled places (N, 5 + 2 R + ROWS) of kernels of one group, what rows cost behind all else,
    and the features (N, 12) of the mean of their log times."""
    table = np.array(
        [(k.cin, k.cout, *map(as_number, (k.size, k.kernel, k.stride))) for k in kernels],
        np.float64,
    )
    cin, cout = table[:, 0], table[:, 1]
    part = [scale * (c % step > 0) for c in (cin, cout) for step, scale in REMAINDERS]
    logs = np.log(table)
    work = np.log(np.array([work_of(k) for k in kernels], np.float64))
    padded = -(-cin // 4) * 4 * (-(-cout // 16) * 16)
    pixels = np.array([area(k.out_size) for k in kernels], np.float64)
    rows = [np.log(-(-pixels // step) * step / pixels) for step in ROWS]
    fill = np.log(padded / (cin * cout))
    apart = [ROWS_APART * row for row in rows]
    points = np.column_stack([logs[:, :3], 2 * logs[:, 3:], *part, *apart])
    basis = np.column_stack([np.ones(len(table)), work, fill, logs[:, 3:], *rows])
    return points, basis
