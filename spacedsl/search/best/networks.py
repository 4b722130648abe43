"""The score of a space by its best networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spacedsl.ir.subnet import Subnet
from spacedsl.search.protocols import Known, Unit
from spacedsl.search.space_score import SpaceScore


@dataclass(frozen=True, slots=True)
class Network:
    """One of the best: its whole latency in ms, its loss (the sum of its stages'), what that is
    worth, the standard deviation of that in points, and what to expect of the network once it is
    trained: less, since it was chosen among many predictions (None where these are not known).
    `beyond`: the networks whose accuracies are known, where this one lies outside of them."""

    subnet: Subnet
    latency_ms: float
    loss: float
    value: float
    sd: float | None
    expected: float | None
    beyond: Known | None

    @property
    def extrapolated(self) -> bool:
        """Whether what it is worth is extrapolated."""
        return self.beyond is not None

    @property
    def points(self) -> str:
        """Its predicted top-1 in percent: `78.26 ± 0.49`, or `81.63* ± 0.41` where that is
        extrapolated."""
        said = f"{self.value:.2f}" + "*" * self.extrapolated
        return said if self.sd is None else f"{said} ± {self.sd:.2f}"


def beyond_said(tops: Iterable[Iterable[Network]]) -> list[str]:
    """Where predictions are extrapolated: of which networks accuracies are known, in words."""
    known = dict.fromkeys(n.beyond for networks in tops for n in networks if n.beyond)
    return [f"* Extrapolated: accuracies are known of {networks}" for networks in known]


@dataclass(frozen=True)
class BestScore(SpaceScore):
    """A score by the definition `best`. `networks`: per limit those that count, best first; fewer
    where there are no more."""

    networks: tuple[tuple[Network, ...], ...]
    unit: Unit
