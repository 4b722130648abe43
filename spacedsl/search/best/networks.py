"""The score of a space by its best networks."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.ir.subnet import Subnet
from spacedsl.search.protocols import Unit
from spacedsl.search.space_score import SpaceScore


@dataclass(frozen=True, slots=True)
class Network:
    """One of the best: its whole latency in ms, its loss (the sum of its stages'), what that is
    worth, the standard deviation of that in points, and what to expect of the network once it is
    trained: less, since it was chosen among many predictions (None where these are not known)."""

    subnet: Subnet
    latency_ms: float
    loss: float
    value: float
    sd: float | None
    expected: float | None


@dataclass(frozen=True)
class BestScore(SpaceScore):
    """A score by the definition `best`. `networks`: per limit those that count, best first; fewer
    where there are no more."""

    networks: tuple[tuple[Network, ...], ...]
    unit: Unit
