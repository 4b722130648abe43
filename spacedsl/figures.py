"""Large numbers, times and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


def amount(value: float) -> str:
    """163479488 -> 163.5M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:.4g}{unit}"
    return f"{value:g}"


def count(value: int) -> str:
    """A large count: exact below 10^9, 1.620e+47 beyond, which no float need hold."""
    if value < 10**9:
        return f"{value:,}"
    digits, _, power = f"{Decimal(value):.3e}".partition("e+")
    return f"{digits}e+{power:0>2}"


def counted(value: int, noun: str) -> str:
    """So many of something: 1 network, 2,000 networks."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time that something takes at most or about: 90 seconds, 2.5 minutes."""
    return f"{seconds:.3g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def listed(names: Sequence[str], most: int = 5) -> str:
    """All names, or the first ones and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
