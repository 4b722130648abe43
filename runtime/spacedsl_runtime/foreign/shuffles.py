"""Channel shuffles: one map seen as groups of channels, turned, and seen as a map again."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import fx

from spacedsl_runtime.foreign.graph import Shapes, argument

VIEWS = {"view", "reshape"}
TURNS = {"transpose", "permute", "swapaxes"}
TURNED = [0, 2, 1, 3, 4]
"""The axes of (N, groups, channels of each, H, W) behind a shuffle's turn."""


class Shuffled(NamedTuple):
    """The map that is shuffled, in how many groups, and the node that sees it as groups."""

    start: fx.Node
    groups: int
    parts: fx.Node | None = None


def shuffles_in(graph: fx.Graph, shapes: Shapes) -> dict[fx.Node, Shuffled | None]:
    """The shuffles, each by the node that ends it. None for nodes that are inside of one."""
    found = {node: said for node in graph.nodes if (said := _shuffled(node, shapes)) is not None}
    return found | {said.parts: None for said in found.values() if said.parts is not None}


def _shuffled(node: fx.Node, shapes: Shapes) -> Shuffled | None:
    if _word(node) == "channel_shuffle" and (whole := _first(node)) is not None:
        return Shuffled(whole, int(argument(node, 1, "groups", 1)))
    turn = _before(node, VIEWS | {"flatten"})
    while turn is not None and _word(turn) == "contiguous":
        turn = _first(turn)
    parts = _before(turn, TURNS)
    start = _before(parts, VIEWS)
    if turn is None or parts is None or start is None or start not in shapes:
        return None
    batch, channels, *size = shapes[start]
    seen, axes = shapes.get(parts, ()), _axes(turn)
    fits = len(seen) == 5 and (seen[0], seen[1] * seen[2], *seen[3:]) == (batch, channels, *size)
    same = axes == TURNED and shapes.get(node) == shapes[start]
    return Shuffled(start, seen[1], parts) if fits and same else None


def _before(node: fx.Node | None, words: set[str]) -> fx.Node | None:
    """What a node reads, if it is one of these functions."""
    return _first(node) if node is not None and _word(node) in words else None


def _first(node: fx.Node) -> fx.Node | None:
    return node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None


def _word(node: fx.Node) -> str:
    if node.op not in ("call_function", "call_method"):
        return ""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _axes(turn: fx.Node) -> list[int]:
    """The order of axes that a transposition or a permutation of five makes."""
    said: list[Any] = list(turn.args[1:]) or list(turn.kwargs.values())
    said = list(said[0]) if len(said) == 1 else said
    if not all(isinstance(axis, int) for axis in said):
        return []
    axes = [axis % 5 for axis in said]
    if _word(turn) == "permute":
        return axes
    order = list(range(5))
    if len(axes) == 2:
        order[axes[0]], order[axes[1]] = axes[1], axes[0]
    return order
