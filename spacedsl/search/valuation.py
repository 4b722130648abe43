"""What a network is worth by the sum of its stages' losses."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.operators.size import Pair
from spacedsl.search.protocols import Floats, Known, Unit


@dataclass(frozen=True, slots=True)
class InverseLoss:
    """1 / loss, where a table of losses knows nothing of accuracies: good for comparing networks,
    without a unit that means anything outside the table."""

    @property
    def unit(self) -> Unit:
        """No percentage."""
        return "1/loss"

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.value`; the same at every resolution."""
        return 1.0 / loss

    def sd(self, loss: Floats, resolution: float | Pair) -> Floats | None:
        """Not known."""
        return None

    @property
    def optimism(self) -> float | None:
        """Not known."""
        return None

    @property
    def known(self) -> Known | None:
        """Accuracies of none."""
        return None
