"""Profiling as commands show it, and the targets that they name, profiled where need be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.cli.watch import Terminal
from spacedsl.hosts.host import HERE, Host

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.ir.target import Target
    from spacedsl.targets.device import Device
    from spacedsl.targets.open_scorer import Request
    from spacedsl.targets.profiler import Progress


def profile_bar(
    target: Target, budget_s: float, on: Host = HERE
) -> AbstractContextManager[Progress]:
    """`flows.ready.profiling` on standard error."""
    from spacedsl.flows.ready import profiling

    return profiling(target, budget_s, Terminal(), on)


def ready_devices(names: Sequence[str], space: Space, request: Request) -> list[Device]:
    """`flows.ready.ready_devices` of targets by names or pages. Where one is to be measured, which
    takes minutes, the quality table is opened before that."""
    from spacedsl.flows.ready import ready_devices
    from spacedsl.targets.device import lacks
    from spacedsl.targets.open_scorer import open_quality

    targets = [api.load_target(name) for name in names]
    if request.scorer == "model" and any(lacks(target, space) for target in targets):
        open_quality(space, request.quality)
    return ready_devices(targets, space, request.limits_ms, Terminal())
