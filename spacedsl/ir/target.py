"""A target: the device a space is searched for."""

from __future__ import annotations

from spacedsl.ir.expr import Frozen


class Target(Frozen):
    """`latency` names the fitted latency table, `limits_ms` are the default latency limits in
    milliseconds, `reference` names the published space of this device, if there is one."""

    name: str
    device: str
    latency: str
    limits_ms: tuple[float, ...]
    reference: str | None = None
