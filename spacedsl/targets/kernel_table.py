"""Latency kernels as rows of whole numbers, for files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.operators.size import pair, size_of
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Ints

COLUMNS = (6, 12)
"""Of kernels that are square and padded without dilation, and of others."""


def kernel_table(kernels: Sequence[Kernel], kinds: tuple[str, ...]) -> Ints:
    """Rows (N, 6): the number of the kind, cin, cout, size, window and stride. Where one of the
    kernels says more, all have (N, 12): height and width of size, window, stride and dilation, and
    whether there is no padding."""
    whole = [
        (
            *(kinds.index(k.kind), k.cin, k.cout, *pair(k.size), *pair(k.kernel)),
            *(*pair(k.stride), *pair(k.dilation), int(k.valid)),
        )
        for k in kernels
    ]
    square = all(row[3:11:2] == row[4:11:2] and row[9] == 1 and not row[11] for row in whole)
    return np.array([(*row[:3], *row[3:9:2]) for row in whole] if square else whole, np.int32)


def kernel_of(kind: str, row: Sequence[int]) -> Kernel:
    """A kernel from a row of `kernel_table` without the number of its kind."""
    cin, cout, *sizes = row
    if len(sizes) == 3:
        sizes = [*(n for size in sizes for n in (size, size)), 1, 1, 0]
    *pairs, valid = sizes
    size, window, stride, dilation = map(size_of, pairs[::2], pairs[1::2])
    return Kernel(kind, cin, cout, size, window, stride, dilation, bool(valid))
