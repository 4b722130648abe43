"""What `show --format json` prints, as types: docs/schema/show.json is their schema."""

from __future__ import annotations

from typing import Any, Literal

from spacedsl.ir.expr import Frozen
from spacedsl.operators.size import Size


class Bounds(Frozen):
    """Least and greatest over all subnets, both attained."""

    min: int
    max: int


class LatencyPart(Frozen):
    stage: str
    ms: float
    coverage: Literal["measured", "interpolated", "estimated"]


class Latency(Frozen):
    """A model's latency on a target; `coverage` is the share of the total by coverage."""

    target: str
    total_ms: float
    parts: list[LatencyPart]
    coverage: dict[str, float]


class LatencyBounds(Frozen):
    """Least and greatest latency over all subnets on a target, both attained; null where blocks are
    not covered, of which at most 20 are named."""

    target: str
    min_ms: float | None
    max_ms: float | None
    coverage: Literal["measured", "interpolated", "estimated", "uncovered"]
    missing: list[str]
    missing_count: int


class TapFacts(Frozen):
    """An output of a page that has taps in place of a head: (channels, height, width) of the map
    that the stage ends in."""

    name: str
    stage: str
    shape: tuple[int, int, int]


class TapChoices(Frozen):
    """The same over all networks: channels that the map may have, and its sizes in pixels at the
    page's resolutions."""

    name: str
    stage: str
    channels: list[int]
    sizes: list[Size]


class _Facts(Frozen):
    name: str
    of: str | None
    hash: str
    code: str | None
    channels: int


class ModelFacts(_Facts):
    """A model: FLOPs are multiply-accumulates, `resolution` in pixels, `memory` the bytes of 8-bit
    activations that are alive at a time. `weights` are those of the deployed network, biases and
    norms included; `params` has three LSQ+ scalars per convolution too. `trained` are the weights
    that are trained, on pages where these are others (`reparam`, `ones`)."""

    kind: Literal["model"]
    resolution: Size
    flops: int
    params: int
    weights: int
    memory: int
    trained: int | None = None
    subnets: Literal[1]
    taps: list[TapFacts] | None = None
    latency: Latency | None = None


class SpaceFacts(_Facts):
    """A space or hyperspace; `subnets` and `spaces` are exact, however large."""

    kind: Literal["space", "hyperspace"]
    resolutions: list[Size]
    flops: Bounds
    params: Bounds
    weights: Bounds
    memory: Bounds
    trained: Bounds | None = None
    subnets: int
    spaces: int
    taps: list[TapChoices] | None = None
    latency: LatencyBounds | None = None


class ShownModel(ModelFacts):
    """As printed: every JSON that commands print has `version` and `diagnostics`."""

    version: Literal[1]
    diagnostics: list[Any]


class ShownSpace(SpaceFacts):
    """As printed."""

    version: Literal[1]
    diagnostics: list[Any]
