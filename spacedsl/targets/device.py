"""A target as searches use it: its latency model and its limits, profiled first where need be."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl.diagnostics import fault
from spacedsl.hosts.host import HERE, Host
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import NN_METER, Target
from spacedsl.lang.load import load
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, LatencyModel
from spacedsl.tables.files import load_latency
from spacedsl.targets.latency import model_latency

if TYPE_CHECKING:
    from spacedsl.targets.profile_file import Profile

FITTED = ".npz"
"""`latency` of a page that carries another machine's fitted profile."""

SIGNIFICANT = 3

WHOLE_S, ONE_SPACE_S, MOST_S = 300.0, 150.0, 300.0
"""Seconds of profiling that the library's spaces together deserve, one space that is to be
searched, and the same where that does not cover it yet."""

SAMPLED, INSIDE = 30, 0.98
"""Members looked at, and the share of their blocks that must not be extrapolated."""


@dataclass(frozen=True, slots=True)
class Device:
    """A target, its latency model, and its limits in milliseconds on this very device."""

    target: Target
    latency: LatencyModel
    limits_ms: tuple[float, ...]


def open_device(target: Target, host: Host = HERE) -> Device:
    """The device of a target: a table's, a carried profile's, or `host`. Raises `SpaceError` where
    that is not profiled yet."""
    latency = _latency(target, host)
    return Device(target, latency, scaled_limits(target, latency))


def _latency(target: Target, host: Host = HERE) -> LatencyModel:
    if target.measured:
        from spacedsl.targets.profile_cache import header_of, load_profile, profile_path
        from spacedsl.targets.profiled_latency import fit_profile

        header = header_of(target, host)
        if load_profile(header) is None:
            message = f"target `{target.name}` is not profiled on this machine"
            raise fault("no-profile", message, f"`spacedsl target profile {target.name}`")
        return fit_profile(profile_path(header))
    if target.latency.endswith(FITTED):
        from spacedsl.targets.profiled_latency import load_fit

        return load_fit(Path(target.latency))
    if target.latency.startswith(NN_METER):
        from spacedsl.targets.nn_meter import load_predictor

        return load_predictor(target.latency.removeprefix(NN_METER))
    return load_latency(target.latency)


def scaled_limits(target: Target, latency: LatencyModel) -> tuple[float, ...]:
    """The limits of a target; with an anchor, scaled so that the anchor stands where it stands on
    the device that they are of, to three digits. Raises `SpaceError`."""
    if target.anchor is None:
        return target.limits_ms
    model = load(target.anchor.model)
    if not isinstance(model, Subnet):
        message = f"the anchor {target.anchor.model} of target `{target.name}` is no model"
        raise fault("wrong-kind", message)
    ms = fsum(part.ms for part in model_latency(model, latency))
    scale = ms / target.anchor.ms
    return tuple(float(f"{limit * scale:.{SIGNIFICANT}g}") for limit in target.limits_ms)


def lacks(target: Target, space: Space) -> bool:
    """Should this machine be profiled before members of `space` are searched? Not where its
    outermost space is covered and as much time was spent on it as it deserves, nor where a whole
    profile of other spaces covers what its members are made of. Raises `SpaceError` where there
    is a profile that cannot be used."""
    if not target.measured:
        return False
    from spacedsl.targets.profile_cache import header_of, load_profile

    found = load_profile(header_of(target))
    if found is None:
        return True
    whole = outermost(space)
    asked = space_identity(whole)
    if found.covers(asked) and found.seconds(frozenset([asked])) >= ONE_SPACE_S:
        return False
    if sum(batch.seconds for batch in found.batches) < WHOLE_S:
        return True
    return not (found.covers(asked) or _covered(found, whole))


def _covered(found: Profile, space: Space) -> bool:
    from spacedsl.targets.covered import Ranges, Wanted

    nets = [net for batch in found.batches for net in (*batch.references, *batch.nets)]
    wanted = Wanted(space)
    return wanted.covered(wanted.gaps(Ranges([Kernel(*k) for net in nets for k in net.kernels])))


def knows(target: Target, space: Space) -> bool:
    """Does the target's latency model, as it is, cover what members of `space` are made of? Raises
    `SpaceError` where there is a profile that cannot be used."""
    if target.measured:
        from spacedsl.targets.profile_cache import header_of, load_profile

        if load_profile(header_of(target)) is None:
            return False
    return _covers(_latency(target), space)


def _covers(latency: LatencyModel, space: Space) -> bool:
    rng = random.Random(0)  # noqa: S311  not for secrets
    members = [random_subnet(space, rng, space.name) for _ in range(SAMPLED)]
    sites = [site for m in members for stage in subnet_sites(m) for site in stage]
    coverage = latency.predict(sites).coverage
    inside = float((coverage <= Coverage.INTERPOLATED).mean())
    return bool((coverage < Coverage.UNCOVERED).all()) and inside >= INSIDE


def outermost(space: Space) -> Space:
    """The hyperspace that a space is of in the end."""
    while space.of is not None:
        space = space.of
    return space
