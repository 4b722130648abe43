"""Sizes of maps, windows and strides: one number where rows and columns have the same, else a pair.

What a page says as `49x10` is a `Pair`, `3x3` is 3 as a plain 3 is. So what is square has one form,
in memory and in files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from spacedsl.operators.activations import ACTIVATIONS

ACTIVATION_NUMBERS = {word: number for number, word in enumerate(ACTIVATIONS, -1000)}
"""Tables know activations by these numbers, so a new one stands at the end of `ACTIVATIONS`."""


class Pair(NamedTuple):
    """Rows and columns that differ. Sizes are in order as numbers (`as_number`)."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __lt__(self, other: Any) -> bool:
        return as_number(self) < as_number(other)

    def __le__(self, other: Any) -> bool:
        return as_number(self) <= as_number(other)

    def __gt__(self, other: Any) -> bool:
        return as_number(self) > as_number(other)

    def __ge__(self, other: Any) -> bool:
        return as_number(self) >= as_number(other)


Size = int | Pair


def size_of(height: int, width: int) -> Size:
    """The size of so many rows and columns."""
    return height if height == width else Pair(height, width)


def from_json(said: Any) -> Any:
    """A size or a setting as JSON has it, where a pair is a list of two."""
    return Pair(*said) if isinstance(said, list | tuple) else said


def pair(size: Size) -> tuple[int, int]:
    """Rows and columns."""
    return size if isinstance(size, Pair) else (size, size)


def area(size: Size) -> int:
    """Rows times columns."""
    return size.height * size.width if isinstance(size, Pair) else size * size


def by_side(function: Callable[..., int], *sizes: Size) -> Size:
    """What a function of numbers makes of the rows of sizes, and of their columns."""
    if Pair in map(type, sizes):
        return size_of(*map(function, *map(pair, sizes)))
    return function(*sizes)


def as_map(size: Size) -> str:
    """A map as errors show it: `7 x 7`."""
    return " x ".join(map(str, pair(size)))


def as_number(value: float | str | Pair) -> float:
    """A setting as one number, which orders settings and which models are fitted to. A pair is
    about the side of the square of the same area; rows count a little more than columns, so that
    no two pairs have one number. Each activation has a number below 0, where no size is."""
    if isinstance(value, str):
        return float(ACTIVATION_NUMBERS[value])
    if not isinstance(value, Pair):
        return float(value)
    return float((value.height * value.width) ** 0.5 + (value.height - value.width) / 1000)
