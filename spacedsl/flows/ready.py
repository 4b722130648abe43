"""Devices as a flow needs them: this machine profiled where it must be, limits that tell networks
apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.figures import counted, duration
from spacedsl.flows.watch import SILENT, Watch, announced
from spacedsl.hosts.host import HERE, Host
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.targets.device import Device
    from spacedsl.targets.profiler import Progress, Reached

SAMPLES = 200
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of random networks that are within each of the limits taken."""


@contextmanager
def profiling(
    target: Target, budget_s: float, watch: Watch = SILENT, on: Host = HERE
) -> Iterator[Progress]:
    """Progress of a profile with what is measured so far; says beforehand what it is and how long
    it takes, and names a profile of an earlier version, which is of no use."""
    from spacedsl.runtimes.table import runtime_of
    from spacedsl.targets.profile_cache import header_of, load_profile, outdated_profile

    header = header_of(target, on)
    on.require_nodes(runtime_of(target))
    old = outdated_profile(header)
    if old is not None and load_profile(header) is None:
        watch.say(
            f"{old} is of an earlier version, by other kernels than those of a plain session: "
            "it is not used, and measured again"
        )
    note = (
        f"kernels of {on.name}, inside real networks, once; which ones is counted first, "
        f"then about {duration(budget_s)} of measuring"
    )
    with announced(watch, f"profiling {target.name}", note) as show:

        def shown(reached: Reached) -> None:
            missing = f", {reached.missing:,} to cover" if reached.missing else ""
            counts = f"{counted(reached.networks, 'network')}, {counted(reached.kernels, 'kernel')}"
            show(reached.seconds / budget_s, counts + missing)

        yield shown


def ready_target(target: Target, space: Space, watch: Watch = SILENT) -> Target:
    """A target whose device knows what members of `space` cost: where that is this machine and it
    does not yet, it is profiled until it does. Raises `SpaceError`, also where that takes too
    long."""
    from spacedsl.targets.device import MOST_S, ONE_SPACE_S, lacks, outermost

    if lacks(target, space):
        from spacedsl.targets.profiler import profile

        with profiling(target, ONE_SPACE_S, watch) as show:
            profile(target, [outermost(space)], ONE_SPACE_S, show, most_s=MOST_S)
    return target


def ready_devices(
    targets: Sequence[Target],
    space: Space,
    limits_ms: tuple[float, ...] = (),
    watch: Watch = SILENT,
) -> list[Device]:
    """The devices of targets, this machine profiled, with limits that tell networks of `space`
    apart; `limits_ms`: limits that are asked for instead of the target's own. Raises
    `SpaceError`."""
    found = [ready_target(target, space, watch) for target in targets]
    if len({target.name for target in found}) < len(found):
        raise fault("bad-option", "a target is named twice", "name different ones")
    if limits_ms and len(found) > 1:
        message = "--limits cannot be of several targets"
        raise fault("bad-option", message, "write limits into pages of the targets")
    from spacedsl.targets.device import open_device

    return [separating(open_device(target), space, limits_ms, watch) for target in found]


def separating(
    device: Device, space: Space, asked: tuple[float, ...], watch: Watch = SILENT
) -> Device:
    """`device`, with limits from latencies of random networks of `space` where fewer than two of
    its own are below the greatest of these; that is said. `asked` are kept, and warned of."""
    import numpy as np

    from spacedsl.passes.bind import subnet_sites

    limits = asked or device.limits_ms
    networks = [sum(subnet_sites(s), ()) for s in api.sample(space, SAMPLES)]
    ms = device.latency.predict([site for sites in networks for site in sites]).ms
    ends = np.cumsum([len(sites) for sites in networks])
    drawn = np.add.reduceat(ms, [0, *ends[:-1]])
    greatest = drawn.max()
    below = sum(limit < greatest for limit in limits)
    if not np.isfinite(greatest) or below >= min(2, len(limits)):
        return device
    said = (
        f"{_bounds(limits)} few networks of {space.name} apart: "
        f"random ones take {drawn.min():.3g} to {greatest:.3g} ms on {device.target.name}"
    )
    if asked:
        watch.warn(said)
        return device
    taken = tuple(sorted({_upwards(float(ms)) for ms in np.quantile(drawn, SHARES)}))
    listed = ", ".join(f"{ms:g}" for ms in taken)
    watch.warn(f"{said}; taken instead: {listed} ms (or say --limits)")
    target = device.target.model_copy(update={"limits_ms": taken, "anchor": None})
    return replace(device, target=target, limits_ms=taken)


def _upwards(ms: float) -> float:
    """The next number of two digits: not less, so that a network which is that fast keeps it."""
    digits = 1 - math.floor(math.log10(ms))
    return float(f"{math.ceil(ms * 10**digits) / 10**digits:.2g}")


def _bounds(limits: Sequence[float]) -> str:
    """That limits tell something apart, in words."""
    if len(limits) == 1:
        return f"a limit of {limits[0]:g} ms tells"
    return f"limits of {limits[0]:g} to {limits[-1]:g} ms tell"
