"""Many widths or heights that are bound at once, as if they were one.

Binding asks no more of them than sums, products, comparisons and rounding. A `Lot` has them for
an array of them. A comparison must come out alike for all of them: where it does not, `Mixed`
says for which ones it is true, and each part is a lot of its own."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1 << 62
"""What int64 certainly holds."""


class Mixed(Exception):
    """A comparison is true for some of a lot (`which`) and false for others."""

    def __init__(self, which: NDArray[np.bool_]) -> None:
        super().__init__("a comparison differs within a lot")
        self.which = which


class Single(Exception):
    """A lot cannot do this exactly, so its members are looked at one by one."""


class Lot:
    """The numbers `values / denominator`, in lowest terms of all; none is larger than `most` before
    the division."""

    __slots__ = ("denominator", "most", "values")

    def __init__(self, values: NDArray[np.int64], most: int, denominator: int = 1) -> None:
        if most > LARGEST:
            raise Single
        if denominator > 1:
            common = gcd(denominator, int(np.gcd.reduce(values)))
            values, denominator = values // common, denominator // common
        self.values, self.most, self.denominator = values, most, denominator

    @property
    def numerator(self) -> Lot:
        """As that of a fraction."""
        return Lot(self.values, self.most)

    def _over(self, other: Any) -> tuple[Any, int, int]:
        """Another number: its values, the largest one, and its denominator."""
        if isinstance(other, Lot):
            return other.values, other.most, other.denominator
        if isinstance(other, int | Fraction):
            return other.numerator, abs(other.numerator), other.denominator
        raise Single

    def __add__(self, other: Any) -> Lot:
        values, most, denominator = self._over(other)
        a, b = self._scaled(denominator), _times(values, most, self.denominator)
        return Lot(a[0] + b[0], a[1] + b[1], self.denominator * denominator)

    def __sub__(self, other: Any) -> Lot:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Lot:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Lot:
        values, most, denominator = self._over(other)
        if self.most * most > LARGEST:
            raise Single
        return Lot(self.values * values, self.most * most, self.denominator * denominator)

    def __truediv__(self, other: Any) -> Lot:
        if isinstance(other, Lot):
            raise Single
        return self * (1 / Fraction(other))

    def __rtruediv__(self, other: Any) -> Lot:
        raise Single

    def __str__(self) -> str:  # an error names one size
        raise Single

    def __float__(self) -> float:
        raise Single

    def __index__(self) -> int:
        raise Single

    def __hash__(self) -> int:
        raise Single

    def __neg__(self) -> Lot:
        return Lot(-self.values, self.most, self.denominator)

    def __pow__(self, power: int) -> Lot:
        return self if power == 1 else self * self ** (power - 1)

    def __floor__(self) -> Lot:
        return self // 1

    def __rfloordiv__(self, other: Any) -> Lot:
        raise Single

    def __floordiv__(self, other: Any) -> Lot:
        if isinstance(other, Lot):
            raise Single
        return Lot(self.values // (self.denominator * other), self.most)

    def __eq__(self, other: object) -> bool:
        return self._alike(other, np.equal)

    def __lt__(self, other: object) -> bool:
        return self._alike(other, np.less)

    def __le__(self, other: object) -> bool:
        return self._alike(other, np.less_equal)

    def __gt__(self, other: object) -> bool:
        return self._alike(other, np.greater)

    def __ge__(self, other: object) -> bool:
        return self._alike(other, np.greater_equal)

    __radd__, __rmul__ = __add__, __mul__

    def _alike(self, other: object, compare: Any) -> bool:
        values, most, denominator = self._over(other)
        a, b = self._scaled(denominator), _times(values, most, self.denominator)
        which = compare(a[0], b[0])
        true = int(np.count_nonzero(which))
        if 0 < true < len(which):
            raise Mixed(which)
        return true > 0

    def _scaled(self, by: int) -> tuple[NDArray[np.int64], int]:
        return _times(self.values, self.most, by)


def lot(values: NDArray[np.int64]) -> Lot:
    """Whole numbers, at least one of them."""
    return Lot(values, int(np.abs(values).max()))


def greatest(number: Any) -> int:
    """The greatest of a lot, or a whole number itself."""
    return int(number.values.max()) if isinstance(number, Lot) else int(number)


def greatest_same(a: Any, b: Any) -> int:
    """The greatest number that stands at one place of two lots, or is both numbers; 0 without."""
    mine, other = (n.values if isinstance(n, Lot) else int(n) for n in (a, b))
    return int(np.max(np.where(np.equal(mine, other), mine, 0)))


def _times(values: Any, most: int, by: int) -> tuple[Any, int]:
    if by == 1:
        return values, most
    if most * by > LARGEST:
        raise Single
    return values * by, most * by
