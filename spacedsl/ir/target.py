"""A target: the device a space is searched for."""

from __future__ import annotations

from typing import Final

from spacedsl.ir.expr import Frozen

PROFILE: Final = "profile"
"""`latency profile`: the latencies are those measured on the machine at hand."""

NN_METER: Final = "nn-meter:"
"""`latency "nn-meter:NAME"`: those of a predictor that is registered with nn-Meter."""


class Anchor(Frozen):
    """A published model and its latency in milliseconds on the device that the limits are of. A
    measured device's limits are scaled so that this model stands where it stands there."""

    model: str
    ms: float


class Target(Frozen):
    """`runtime` names what runs the networks ("": what `device` says), `version` the versions of it
    that will do, by their beginning; `rules` which of the runtime's rewrites apply (None: all).
    `latency` names the fitted latency table, a profile's file or nn-Meter's predictor; `measured`:
    it is this machine's profile. `limits_ms` are the default latency limits in milliseconds, scaled
    by the `anchor` where there is one; `reference` names the published space of this device, if
    there is one."""

    name: str
    device: str
    runtime: str = ""
    version: str = ""
    threads: int = 1
    types: str = "u8s8"
    rules: tuple[str, ...] | None = None
    latency: str
    measured: bool = False
    limits_ms: tuple[float, ...]
    anchor: Anchor | None = None
    reference: str | None = None

    def __repr__(self) -> str:
        return f"<target {self.name}: {self.device}>"
