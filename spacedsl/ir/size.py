"""How many: subnets of a space or hyperspace, spaces of a hyperspace. Exact integers."""

from __future__ import annotations

from math import prod

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
    return prod(
        len(arg.values) ** (1 if arg.name in stage.shared else depth) for arg in choice.numeric
    )


def count_subnets(space: Space) -> int:
    """Number of distinct subnets, resolutions included."""
    return len(space.resolutions) * prod(stage_subnets(stage) for stage in space.stages)


def count_spaces(space: Space) -> int:
    """Number of spaces: per elastic stage one block type and one window (Eq. of Sec. 4.2)."""
    return prod(len(s.choices) * len(s.windows) for s in space.stages if s.elastic)
