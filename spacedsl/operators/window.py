"""Windows of convolutions and pools: how large what comes out is, and what is padded.

With "same" padding a map of n pixels becomes one of n / stride, rounded up. A window that reaches
over an odd number of pixels is padded by the half of it on both sides (as PyTorch writes it); one
that reaches over an even number r by r / 2 - 1 before the map, and after it by as much as the last
window needs. A `valid` window has no padding: it never leaves the map."""

from __future__ import annotations

from typing import NamedTuple

from spacedsl.operators.size import Size, by_side, pair, size_of

Pads = tuple[Size, Size]
"""Rows and columns before a map, and after it."""


class Window(NamedTuple):
    """A window, the steps between windows and those between its taps."""

    kernel: Size = 1
    stride: Size = 1
    dilation: Size = 1
    valid: bool = False

    @property
    def reach(self) -> Size:
        """Pixels from the first tap to the last one."""
        return by_side(lambda kernel, step: (kernel - 1) * step + 1, self.kernel, self.dilation)

    def output(self, size: Size) -> Size:
        """The size of what comes out of a map. Raises `ValueError` where a window without padding
        does not fit into the map."""
        if not self.valid:
            return by_side(strided, size, self.stride)
        for pixels, reach in zip(pair(size), pair(self.reach), strict=True):
            if pixels < reach:
                raise ValueError(f"a window of {reach} pixels without padding on a map of {pixels}")
        return by_side(lambda n, r, step: (n - r) // step + 1, size, self.reach, self.stride)

    def keeps(self, size: Size) -> bool:
        """Whether it keeps the size of every map, and of one of this size too, which without
        padding it may not."""
        return self.stride == 1 and (not self.valid or self.output(size) == size)

    def pads(self, size: Size) -> Pads:
        """Rows and columns that are padded before and after a map."""
        if self.valid:
            return 0, 0
        sides = map(_same_pads, *map(pair, (size, self.reach, self.stride)))
        before, after = zip(*sides, strict=True)
        return size_of(*before), size_of(*after)


def strided(size: int, stride: int) -> int:
    """Pixels that "same" windows leave of some in a row."""
    return -(-size // stride)


def _same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    if reach % 2:
        return reach // 2, reach // 2
    before = reach // 2 - 1
    return before, max(0, (strided(size, stride) - 1) * stride + reach - size - before)
