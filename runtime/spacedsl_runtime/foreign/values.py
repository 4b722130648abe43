"""The tensors of an imported network, each made from one before it, and paths that are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spacedsl_runtime.foreign.steps import Doing, Joined, Part


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor of the network: the tensor `before` it, and what is done to that (`doing`). The
    image has neither."""

    channels: int
    before: Value | None = None
    doing: Doing | None = None


Path = tuple[Doing, ...]


def chain(start: Value | None, end: Value) -> Path:
    """What is done from one tensor (None: the image) to a later one."""
    found: list[Doing] = []
    at: Value | None = end
    while at is not None and at is not start:
        if at.doing is not None:
            found.append(at.doing)
        at = at.before
    return tuple(reversed(found))


def common(a: Value, b: Value) -> Value | None:
    """The last tensor that both are made from."""
    known = set()
    at: Value | None = a
    while at is not None:
        known.add(id(at))
        at = at.before
    at = b
    while at is not None and id(at) not in known:
        at = at.before
    return at


def concat(ends: Sequence[Value]) -> Value | None:
    """The tensor that holds the channels of all `ends`, one behind the other. None where a page
    cannot say how these are made."""
    start: Value | None = ends[0]
    for end in ends:
        start = None if start is None else common(start, end)
    if start is None:
        return None
    joined = _joined([chain(start, end) for end in ends])
    width = sum(end.channels for end in ends)
    if joined is None or not any(joined.branches):
        return None
    return Value(width, start, replace(joined, cin=start.channels, cout=width))


def _joined(paths: Sequence[Path]) -> Joined | None:
    """Paths from one tensor, side by side. Those that begin alike do so once, and are joined at the
    end of what they have in common. None where others stand between these."""
    branches: list[Path] = []
    begun: list[Doing] = []
    at = 0
    while at < len(paths):
        first = paths[at][:1]
        if first and any(first[0] is one for one in begun):
            return None
        begun += first
        same = at + 1
        while first and same < len(paths) and paths[same] and paths[same][0] is first[0]:
            same += 1
        branch = _branch(paths[at:same])
        if branch is None:
            return None
        branches.append(branch)
        at = same
    parts = [path[0] if path else None for path in branches]
    whole = [isinstance(p, Part) and (p.index, p.count) for p in parts]
    split = whole == [(i, len(branches)) for i in range(len(branches))]
    if split:
        branches = [path[1:] for path in branches]
    return Joined(tuple(branches), 0, 0, how="concat", split=split)


def _branch(paths: Sequence[Path]) -> Path | None:
    if len(paths) == 1:
        return paths[0]
    length = min(map(len, paths))
    alike = next((i for i in range(length) if any(p[i] is not paths[0][i] for p in paths)), length)
    inner = _joined([path[alike:] for path in paths])
    return None if inner is None else (*paths[0][:alike], inner)
