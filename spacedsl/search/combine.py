"""How scores of several targets make one; imported where commands start, so it imports little."""

from __future__ import annotations

from enum import StrEnum


class Combine(StrEnum):
    """The sum of them, or the worst."""

    sum = "sum"
    worst = "worst"
