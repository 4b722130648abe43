"""Kernels go to rows of numbers and back."""

from __future__ import annotations

import pytest

from spacedsl.operators.size import size_of
from spacedsl.passes.kernels import Kernel
from spacedsl.targets.kernel_table import COLUMNS, kernel_of, kernel_table

SQUARE = (Kernel("add", 8, 8, 14), Kernel("conv-bn-relu", 8, 16, 14, 3, 2))
OTHERS = (
    Kernel("conv-bn-relu", 1, 64, size_of(49, 10), size_of(10, 4), 2),
    Kernel("conv-bn-relu", 8, 16, 14, 3, size_of(2, 1)),
    Kernel("dwconv-bn-relu", 8, 8, 14, 3, 1, 2),
    Kernel("conv-bn-relu", 3, 96, 224, 4, 4, 1, True),
)


@pytest.mark.parametrize(
    ("kernels", "columns"),
    [(SQUARE, COLUMNS[0]), *(((*SQUARE, other), COLUMNS[1]) for other in OTHERS)],
)
def test_a_table_has_all_of_its_kernels(kernels: tuple[Kernel, ...], columns: int) -> None:
    kinds = tuple(sorted({kernel.kind for kernel in kernels}))
    table = kernel_table(kernels, kinds)
    assert table.shape == (len(kernels), columns)
    assert tuple(kernel_of(kinds[kind], row) for kind, *row in table.tolist()) == kernels
