"""Accuracies in percent from the sum of a network's stage losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spacedsl.operators.size import Pair, as_number
from spacedsl.search.protocols import Floats, Known, Unit
from spacedsl.tables.schema import AccuracyData, CalibrationData, reach


@dataclass(frozen=True, slots=True)
class CalibratedLoss:
    """`Valuation` of NSR losses whose table has a calibration."""

    data: CalibrationData
    known: Known

    @property
    def unit(self) -> Unit:
        """Top-1 in percent."""
        return "top-1"

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.value`."""
        return 100.0 - self._error(loss, resolution)

    def sd(self, loss: Floats, resolution: float | Pair) -> Floats | None:
        """As `Valuation.sd`: that of models that the calibration had not seen."""
        return self._error(loss, resolution) * self.data.left_out_sd

    @property
    def optimism(self) -> float | None:
        """As `Valuation.optimism`."""
        return self.data.optimism

    def _error(self, loss: Floats, resolution: float | Pair) -> Floats:
        """100 - top-1."""
        data = self.data
        smaller = data.c * np.log(data.r_max / as_number(resolution))
        error: Floats = np.exp(data.a + data.b * np.log(loss) + smaller)
        return error


@dataclass(frozen=True, slots=True)
class LinkedAccuracy:
    """`Valuation` of a table that was fitted to accuracies."""

    data: AccuracyData

    @property
    def unit(self) -> Unit:
        """Top-1 in percent."""
        return "top-1"

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.value`; the resolution is in the losses already."""
        value: Floats = self.data.ceiling - np.exp(loss - self.data.shift)
        return value

    def sd(self, loss: Floats, resolution: float | Pair) -> Floats | None:
        """As `Valuation.sd`: the error of held-out networks of about this accuracy."""
        return np.interp(loss - self.data.shift, *self.data.errors)

    @property
    def optimism(self) -> float | None:
        """As `Valuation.optimism`: what the best of the held-out networks fell short of."""
        return self.data.optimism

    @property
    def known(self) -> Known:
        """As `Valuation.known`."""
        return self.data.known or reach(self.data, (0.0, self.data.ceiling))
