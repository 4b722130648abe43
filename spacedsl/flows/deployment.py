"""What a search for subnets comes to: every subnet that was valued, and those that are deployed."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Valued:
    """A subnet in words (its resolution, and stage by stage its blocks), its predicted latency, and
    its accuracy on held-out images."""

    words: str
    predicted_ms: float
    held_out_top1: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed subnet. Accuracies are INT8: `held_out_top1` chose it, `supernet_top1` is torch's
    and `top1` the file's on the `images` of the test split. Files are named in their folder."""

    name: str
    limit_ms: float
    predicted_ms: float
    resolution: int
    flops: int
    hash: str
    held_out_top1: float
    supernet_top1: float
    top1: float
    images: int
    page: str
    file: str
    weights: str

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `top1`, which follows from the number of images (Wilson's)."""
        return wilson(self.top1, self.images)


Z = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent images."""
    middle = share + Z * Z / (2 * count)
    reach = Z * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    whole = 1 + Z * Z / count
    return (middle - reach) / whole, (middle + reach) / whole
