"""What a search needs to know of a device and of quality; tables and runs implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spacedsl.figures import counted
from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import Pair, Size
from spacedsl.passes.bind import Site

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Coverage(IntEnum):
    """Where a number comes from. Larger is less certain; a part is as certain as its worst."""

    MEASURED = 0
    INTERPOLATED = 1
    ESTIMATED = 2
    UNCOVERED = 3


@dataclass(frozen=True, slots=True)
class Prediction:
    """Latencies in milliseconds, (N,), and their `Coverage`, (N,) uint8. Where uncovered, the
    latency is NaN."""

    ms: Floats
    coverage: NDArray[np.uint8]


class LatencyModel(Protocol):
    """Latency of blocks on one device, batch 1, INT8."""

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Network resolutions in pixels at which blocks were measured, ascending."""

    @property
    def identity(self) -> str:
        """Content hash of the table."""

    @property
    def fastest_ms(self) -> float:
        """The fastest network that was measured; 0 where no whole ones were."""

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """Latency of each block in its place, stem and head included."""


class StageLoss(Protocol):
    """NSR loss of one (elastic stage, block type): `link(base + sum of terms over blocks)`."""

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """(N,) constants for stages of `depth` blocks whose input has `cin` (N,) channels. NaN
        where not covered."""

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """(N,) terms of block `position` (from 0) of `depth`, with `cin` channels in, `width` out
        and settings by parameter name, as numbers (`as_number`), (N,) each; NaN where not
        covered."""

    def link(self, total: Floats) -> Floats:
        """Strictly increasing map from sums to losses, same shape."""

    @property
    def offset_uncertainty(self) -> float:
        """Standard uncertainty of the loss level of this entry (0 where it was measured in the
        table's own run)."""


Unit = Literal["1/loss", "top-1"]
"""What scores are in: the inverse of a loss, or ImageNet-style accuracy in percent."""


@dataclass(frozen=True, slots=True)
class Known:
    """The networks whose accuracies something was fitted to: how many elastic stages each has;
    their top-1 in percent and resolutions in pixels, least and greatest."""

    stages: int
    top1: tuple[float, float]
    resolutions: tuple[float, float]

    def has(self, stages: int, top1: float, resolution: float) -> bool:
        """Whether a network lies among them; what is said of others is extrapolated."""
        ranges = ((self.top1, top1), (self.resolutions, resolution))
        inside = all(low <= value <= high for (low, high), value in ranges)
        return inside and stages == self.stages

    def __str__(self) -> str:
        stages = counted(self.stages, "elastic stage")
        least, greatest = (f"{value:.4g}" for value in self.top1)
        low, high = (f"{value:.4g}" for value in self.resolutions)
        pixels = f"{low} px" if low == high else f"{low} to {high} px"
        return f"networks of {stages}, with {least} to {greatest} % top-1, at {pixels}"


class Valuation(Protocol):
    """What a network is worth, given the sum of its stages' losses and its resolution."""

    @property
    def unit(self) -> Unit:
        """What `value` is in: "1/loss", or "top-1" in percent."""

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """Worth of networks with these sums of losses, same shape, at `resolution` in pixels;
        strictly decreasing in the loss."""

    def sd(self, loss: Floats, resolution: float | Pair) -> Floats | None:
        """Standard deviation of `value` in points, same shape; None where it is not known."""

    @property
    def optimism(self) -> float | None:
        """By how many points the best of many predictions is too good, as a maximum over noisy
        ones is; None where it is not known."""

    @property
    def known(self) -> Known | None:
        """The networks that it was fitted to; None where it was fitted to no accuracies."""


class QualityModel(Protocol):
    """NSR losses of sub-stages, from one block-wise distillation."""

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Resolutions in pixels at which losses were measured, ascending."""

    @property
    def identity(self) -> str:
        """Content hash of the table."""

    @property
    def valuation(self) -> Valuation:
        """What the losses are worth."""

    def refits(self) -> Sequence[QualityModel]:
        """The same fitted to resampled data; none where nobody fitted it so."""

    def stage(self, number: int, choice: BlockChoice) -> StageLoss | None:
        """The losses of elastic stage `number` (from 1) with this block type, or None."""


class StageRows(Protocol):
    """Sub-stages as a table lists them: configurations with a latency and a loss each."""

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Network resolutions in pixels of the rows, ascending."""

    @property
    def identity(self) -> str:
        """Content hash of the rows."""

    def rows(
        self, number: int, choice: BlockChoice, widths: tuple[int, ...], resolution: float | Pair
    ) -> tuple[Floats, Floats] | None:
        """Latencies in ms and NSR losses, (R,) each, of the rows of elastic stage `number` (from
        1) with this block type and width window at `resolution`, in an order that does not depend
        on the files' (sorted). None where there are none."""
