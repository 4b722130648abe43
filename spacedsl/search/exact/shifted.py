"""Losses of a stage that are raised, or lowered but not below 0, as the sampler does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spacedsl.operators.size import Pair
from spacedsl.search.protocols import Floats, Ints, StageLoss


@dataclass(frozen=True, slots=True)
class ShiftedLoss:
    """`inner` with losses raised by `shift` and floored at 0."""

    inner: StageLoss
    shift: float

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """As `StageLoss.base`."""
        return self.inner.base(resolution, depth, cin)

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """As `StageLoss.terms`."""
        return self.inner.terms(resolution, depth, position, cin, width, settings)

    def link(self, total: Floats) -> Floats:
        """As `StageLoss.link`, though not strictly increasing at 0."""
        return np.maximum(self.inner.link(total) + self.shift, 0.0)

    @property
    def offset_uncertainty(self) -> float:
        """As `StageLoss.offset_uncertainty`."""
        return self.inner.offset_uncertainty


def shifted(losses: StageLoss, shift: float) -> StageLoss:
    """`losses` themselves where there is no shift."""
    return ShiftedLoss(losses, shift) if shift else losses
