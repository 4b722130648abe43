"""How many: subnets of a space or hyperspace, spaces of a hyperspace. Exact integers."""

from __future__ import annotations

from collections import Counter
from math import prod

from spacedsl.ir.settings import are_free, by_shared
from spacedsl.ir.space import BlockChoice, Space, Stage


def stage_subnets(stage: Stage) -> int:
    """Distinct stages: sums over block types and depths of width and setting sequences.

    In a hyperspace the widths of one subnet's stage lie in one window. Sequences that lie in
    several windows are counted once (inclusion and exclusion of neighbouring windows)."""
    return sum(
        _widths(stage, depth) * _settings(stage, choice, depth)
        for choice in stage.choices
        for depth in stage.depths
    )


def _widths(stage: Stage, depth: int) -> int:
    n, w = len(stage.widths), stage.window
    if n == 0:
        return 1
    if "width" in stage.shared:
        return n
    return int((n - w + 1) * w**depth - (n - w) * (w - 1) ** depth)


def _settings(stage: Stage, choice: BlockChoice, depth: int) -> int:
    """Different sequences of settings of `depth` blocks."""
    if are_free(choice):
        return prod(
            len(arg.values) ** (1 if arg.name in stage.shared else depth) for arg in choice.chosen
        )
    return _sequences(_supports(stage, choice), depth)


def _supports(stage: Stage, choice: BlockChoice) -> Counter[int]:
    """Of every different block, the choices of what is shared that allow it, as a set of bits;
    how many blocks have each."""
    found: dict[str, int] = {}
    for i, group in enumerate(by_shared(stage, choice).values()):
        for form in group:
            found[form] = found.get(form, 0) | 1 << i
    return Counter(found.values())


def _sequences(supports: Counter[int], depth: int) -> int:
    """How many sequences of `depth` blocks some one choice of what is shared allows. Counted by
    what exactly allows all of them, from the most choices down: blocks that these allow, less the
    sequences that more of them allow."""
    closed = set(supports)
    fresh = set(supports)
    while fresh:
        fresh = {a & b for a in fresh for b in supports if a & b} - closed
        closed |= fresh
    exact: dict[int, int] = {}
    for allowing in sorted(closed, key=int.bit_count, reverse=True):
        blocks = sum(n for s, n in supports.items() if s & allowing == allowing)
        more = sum(n for s, n in exact.items() if s & allowing == allowing)
        exact[allowing] = blocks**depth - more
    return sum(exact.values())


def count_subnets(space: Space) -> int:
    """Number of distinct subnets, resolutions included."""
    return len(space.resolutions) * prod(stage_subnets(stage) for stage in space.stages)


def count_spaces(space: Space) -> int:
    """Number of spaces: per elastic stage one block type and one window (Eq. of Sec. 4.2)."""
    return prod(len(s.choices) * len(s.windows) for s in space.stages if s.elastic)
