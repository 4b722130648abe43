"""Commands on one target or on several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.search.combine import Combine
    from spacedsl.search.combined import CombinedScorer
    from spacedsl.search.scorer import Scorer

S = TypeVar("S", bound="Scorer")


def ready_targets(names: Sequence[str], space: Space, limits: str | None) -> list[Target]:
    """The targets asked for, those of this machine profiled. Raises `SpaceError`."""
    from spacedsl.cli.device import ready_target

    found = [ready_target(name, space) for name in names]
    if len({target.name for target in found}) < len(found):
        raise fault("bad-option", "a target is named twice", "name different ones")
    if limits is not None and len(found) > 1:
        message = "--limits cannot be of several targets"
        raise fault("bad-option", message, "write limits into pages of the targets")
    return found


def joined(scorers: Mapping[str, S], combine: Combine) -> S | CombinedScorer:
    """The one scorer, or that of all targets together."""
    from spacedsl.search.combined import CombinedScorer

    if len(scorers) == 1:
        return next(iter(scorers.values()))
    return CombinedScorer(scorers, combine)
