"""Commands on one target or on several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from spacedsl import api
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.runs import warned
from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.search.combine import Combine
    from spacedsl.search.combined import CombinedScorer
    from spacedsl.search.scorer import Scorer

S = TypeVar("S", bound="Scorer")


def ready_targets(names: Sequence[str], space: Space, limits: str | None) -> list[Target]:
    """The targets asked for, those of this machine profiled, with limits that tell networks of
    `space` apart. Raises `SpaceError`."""
    from spacedsl.cli.device import ready_target

    found = [ready_target(name, space) for name in names]
    if len({target.name for target in found}) < len(found):
        raise fault("bad-option", "a target is named twice", "name different ones")
    if limits is not None and len(found) > 1:
        message = "--limits cannot be of several targets"
        raise fault("bad-option", message, "write limits into pages of the targets")
    asked = parse_limits(limits)
    return [separating(target, space, asked) for target in found]


SAMPLES = 200
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of random networks that are within each of the limits taken."""


def separating(target: Target, space: Space, asked: tuple[float, ...]) -> Target:
    """`target`, with limits from latencies of random networks of `space` where fewer than two of
    its own are below the greatest of these; that is said. `asked` are kept, and warned of."""
    import numpy as np

    from spacedsl.passes.bind import subnet_sites
    from spacedsl.targets.device import open_device

    device = open_device(target)
    limits = asked or device.limits_ms
    networks = [sum(subnet_sites(s), ()) for s in api.sample(space, SAMPLES)]
    ms = device.latency.predict([site for sites in networks for site in sites]).ms
    ends = np.cumsum([len(sites) for sites in networks])
    drawn = np.add.reduceat(ms, [0, *ends[:-1]])
    greatest = drawn.max()
    below = sum(limit < greatest for limit in limits)
    if not np.isfinite(greatest) or below >= min(2, len(limits)):
        return target
    said = (
        f"limits of {limits[0]:g} to {limits[-1]:g} ms tell few networks of {space.name} apart: "
        f"random ones take {drawn.min():.3g} to {greatest:.3g} ms on {target.name}"
    )
    if asked:
        warned(said)
        return target
    taken = tuple(sorted({float(f"{ms:.2g}") for ms in np.quantile(drawn, SHARES)}))
    warned(f"{said}; taken instead: {', '.join(f'{ms:g}' for ms in taken)} ms (or say --limits)")
    return target.model_copy(update={"limits_ms": taken, "anchor": None})


def joined(scorers: Mapping[str, S], combine: Combine) -> S | CombinedScorer:
    """The one scorer, or that of all targets together."""
    from spacedsl.search.combined import CombinedScorer

    if len(scorers) == 1:
        return next(iter(scorers.values()))
    return CombinedScorer(scorers, combine)
