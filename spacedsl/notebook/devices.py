"""Devices: what networks cost there. One of the library, a page's, or one of your own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.flows.ready import ready_devices, ready_target, separating
from spacedsl.flows.watch import Watch
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.notebook import html
from spacedsl.notebook.watching import Callback, watching
from spacedsl.search.protocols import Floats, LatencyModel
from spacedsl.targets.device import Device as Opened
from spacedsl.targets.device import open_device
from spacedsl.targets.subnet_latency import SubnetLatency


@dataclass(frozen=True, slots=True, repr=False)
class Device:
    """A target. `model`: a latency model of one's own, in place of the target's."""

    target: Target
    model: LatencyModel | None = None

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name

    def latency(
        self, models: Subnet | Sequence[Subnet], *, progress: Callback | None = None
    ) -> Floats:
        """INT8 latencies in milliseconds at batch 1, (N,). Where the device is this machine and was
        not measured for such models yet, it is measured first, which takes minutes, once. Raises
        `SpaceError` where a block is not covered."""
        found = models_of(models)
        if not found:
            return np.zeros(0)
        opened = self.opened(found[0].of, watching(progress))
        of = {id(m.of): m.of for m in found}
        known = {key: SubnetLatency(space, opened.latency) for key, space in of.items()}
        return np.array([known[id(m.of)](m) for m in found])

    def ready(self, space: Space, limits_ms: Sequence[float], watch: Watch) -> Opened:
        """The device as flows take it, with limits that tell networks of `space` apart."""
        asked = tuple(sorted(limits_of(limits_ms)))
        if self.model is not None:
            return separating(self.opened(space, watch), space, asked, watch)
        (found,) = ready_devices([self.target], space, asked, watch)
        return found

    def opened(self, space: Space, watch: Watch) -> Opened:
        """The device as flows take it, measured where it must be for models of `space`."""
        if self.model is not None:
            return Opened(self.target, self.model, self.target.limits_ms)
        return open_device(ready_target(self.target, space, watch))

    def __repr__(self) -> str:
        return f"<target {self.name}: {self.target.device}>"

    def _repr_html_(self) -> str:
        limits = ", ".join(f"{limit:g} ms" for limit in self.target.limits_ms)
        rows = [("device", self.target.device), ("limits", limits)]
        return html.titled(f"target {self.name}", html.table((), rows))


AnyDevice = Device | Target | str | Path
"""A device, or a target's name or page."""


def target(
    spec: str | Path, *, latency: LatencyModel | None = None, limits_ms: Sequence[float] = ()
) -> Device:
    """A target by name (`cpu`, `vnni`, `pixel4`) or by its page. With a `latency` model of one's
    own (`spacedsl.LatencyModel`), `spec` is only the device's name, and `limits_ms` are the latency
    limits that it is searched for. Raises `SpaceError`."""
    if latency is None:
        return Device(api.load_target(spec))
    if not hasattr(latency, "predict"):
        message = f"{_kind(latency)} is no latency model: it has no `predict`"
        raise fault("wrong-kind", message, "`score_by` takes a function of models")
    if not limits_ms:
        raise fault("bad-limits", "a device of your own needs latency limits", "limits_ms=[10, 20]")
    limits = tuple(sorted(limits_of(limits_ms)))
    own = Target(name=str(spec), device="a model of its own", latency="own", limits_ms=limits)
    return Device(own, latency)


def limits_of(limits_ms: Sequence[float]) -> tuple[float, ...]:
    """Latency limits in milliseconds, as they were given. Raises `SpaceError`."""
    if isinstance(limits_ms, Sequence | np.ndarray) and not isinstance(limits_ms, str):
        with suppress(TypeError, ValueError):
            return tuple(map(float, limits_ms))
    message = f"{limits_ms!r} is no list of latency limits"
    raise fault("bad-limits", message, "say milliseconds as numbers: limits_ms=[10, 20]")


def models_of(models: Subnet | Sequence[Subnet]) -> list[Subnet]:
    """One model or several. Raises `SpaceError` for anything else."""
    found = [models] if isinstance(models, Subnet | Space | str) else list(models)
    for one in found:
        if not isinstance(one, Subnet):
            help = "`load_model` opens one by its name, and a space's `sample` draws some"
            raise fault("wrong-kind", f"{_kind(one)} is not a model", help)
    return found


def _kind(found: object) -> str:
    """A value in an error message."""
    return f"{found!r}" if isinstance(found, str | Space) else f"a value of {type(found).__name__}"


def device_of(found: AnyDevice) -> Device:
    """The device that is meant. Raises `SpaceError`."""
    if isinstance(found, Device):
        return found
    return Device(found) if isinstance(found, Target) else target(found)


def target_of(found: AnyDevice | None) -> Target | None:
    """The target of the device that is meant; None where none is. Raises `SpaceError`."""
    return None if found is None else device_of(found).target


def devices_of(found: AnyDevice | Sequence[AnyDevice]) -> list[Device]:
    """One or several."""
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [device_of(one) for one in found]
    return [device_of(found)]
