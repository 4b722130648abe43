"""The order of a three-way merge. Order is content: what one side moved stays moved, what both
moved in different ways is a conflict, and so is what both put in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

START, END = object(), object()
"""What stands before and behind everything, on all sides."""


def ordered(
    base: Sequence[K], ours: Sequence[K], theirs: Sequence[K], *, apart: bool = False
) -> list[K] | None:
    """The order of everything that any side has (what one side left out too), or None where nobody
    wrote it: a conflict. Keys are unique. `apart`: both sides may add to one place, where ours
    stands first, as of definitions that know no order."""
    common = [key for key in base if key in set(ours) & set(theirs)]
    mine, other = ([k for k in side if k in set(common)] for side in (ours, theirs))
    if common not in (mine, other) and mine != other:
        return None
    if _moved_and_gone(base, ours, theirs) or _moved_and_gone(base, theirs, ours):
        return None
    kept: list[object] = [START, *(other if mine == common else mine), END]
    added = [_runs(side, set(common), set(base)) for side in (ours, theirs)]
    gaps = set(pairwise(kept))
    order: list[K] = []
    for before, after in pairwise(kept):
        mine, other = (side.get((before, after), []) for side in added)
        run = _joined(mine, other)
        if run is None and not apart:
            return None
        order += mine + other if run is None else run
        order += [after] if after is not END else []  # type: ignore[list-item]
    if len(set(order)) < len(order) and not apart:  # both added it, in different places
        return None
    order = list(dict.fromkeys(order))
    lost = [(gap, run) for side in added for gap, run in side.items() if gap not in gaps]
    if lost and not apart:
        return None
    for (before, _), run in lost:  # beside what it stood behind, wherever that went
        at = 0 if before is START else order.index(before) + 1  # type: ignore[arg-type]
        order[at:at] = [key for key in run if key not in order]
    return [*order, *(key for key in base if key not in order)]


def _joined(one: list[K], other: list[K]) -> list[K] | None:
    """What stands in one place that both sides added to; None where they added different things."""
    short, long = sorted((one, other), key=len)
    return long if [key for key in long if key in short] == short else None


def _runs(side: Sequence[K], common: set[K], base: set[K]) -> dict[tuple[object, object], list[K]]:
    """What a side added, by what stands before and behind it of what all sides have."""
    found: dict[tuple[object, object], list[K]] = {}
    before: object = START
    run: list[K] = []
    for key in [*side, END]:
        if key is END or key in common:
            if run:
                found[before, key] = run
            before, run = key, []
        elif key not in base:
            run.append(key)  # type: ignore[arg-type]
    return found


def _moved_and_gone(base: Sequence[K], one: Sequence[K], other: Sequence[K]) -> bool:
    """Whether `one` moved what `other` left out."""
    gone = set(base) & set(one) - set(other)
    places = {key: i for i, key in enumerate(one)}
    still = [key for key in base if key in places]
    return any(
        (places[key] < places[k]) != (i < j)
        for i, key in enumerate(still)
        if key in gone
        for j, k in enumerate(still)
        if j != i
    )


def unfaithful(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], merged: Sequence[str]
) -> bool:
    """Whether a merge of lines has a line more or less often than both sides' changes add up to, or
    joins two orders of the lines that all sides have."""
    old, mine, other, new = map(Counter, (base, ours, theirs, merged))
    for line in {*old, *mine, *other, *new}:
        alike = mine[line] == other[line] == new[line]
        if not alike and new[line] != mine[line] + other[line] - old[line]:
            return True
    once = [k for k in base if old[k] == mine[k] == other[k] == 1]
    first, second = ([k for k in side if k in set(once)] for side in (ours, theirs))
    return once not in (first, second) and first != second
