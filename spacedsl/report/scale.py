"""Axes: values to pixels, and where the ticks are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10


@dataclass(frozen=True, slots=True)
class Axis:
    """`from_zero`: zero is on it. `whole`: nothing between whole numbers."""

    label: str
    log: bool = False
    from_zero: bool = False
    whole: bool = False


LOG_TICKS = 5
"""The ratio of an axis' ends up to which even steps are read more easily on a log axis too."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` and `high` are at the pixels `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; of one that is off the axis, its nearer end."""
        low, high = (log10(self.low), log10(self.high)) if self.log else (self.low, self.high)
        if self.log:
            value = log10(value) if value > 0 else low
        share = (min(max(value, low), high) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int, *, whole: bool = False) -> tuple[float, ...]:
        """At most about `most` round values."""
        if self.log and self.high / self.low > LOG_TICKS:
            return _log_ticks(self.low, self.high, most)
        return _ticks(self.low, self.high, most, whole=whole)


def scale(values: Iterable[float], axis: Axis, start: float, end: float) -> Scale:
    """The scale on which values have some room around them."""
    known = [v for v in values if isfinite(v) and (v > 0 or not axis.log)]
    low, high = (min(known), max(known)) if known else (1.0, 2.0)
    if axis.log:
        room = max((high / low) ** 0.05, 1.04)
        return Scale(low / room, high * room, start, end, log=True)
    if axis.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    least = 0.0 if axis.from_zero and low == 0 else low - room
    most = 0.0 if axis.from_zero and high == 0 and low < 0 else high + room
    return Scale(least, most, start, end)


def _ticks(low: float, high: float, most: int, *, whole: bool = False) -> tuple[float, ...]:
    rough = (high - low) / max(most, 1)
    power = 10.0 ** floor(log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    if whole:
        step = max(1.0, ceil(step))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return tuple(float(f"{i * step:.10g}") for i in range(first, last + 1))


def _log_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for parts in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [p * 10.0**power for power in powers for p in parts]
        found = [float(f"{v:.6g}") for v in found if low <= v <= high]
        if len(found) <= most:
            return tuple(found)
    step = ceil(len(found) / most)
    return tuple(found[::step])


def figure(value: float) -> str:
    """A tick's number as it is read."""
    return f"{value:,.0f}" if abs(value) >= 10_000 and value == int(value) else f"{value:g}"
