"""Paths that are joined: whether they meet, and what is bound of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from spacedsl.ir.block import Join, Op
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Size, as_map
from spacedsl.passes.bound import Bound, Concat, Residual

How = Literal["concat", "sum"]
"""Channels one behind the other, or added."""

Ends = Sequence[tuple[int, Size]]
"""Channels and size in pixels at the end of every path."""


def mismatch(how: How, ends: Ends) -> str | None:
    """What is wrong with paths that do not meet; None where they do."""
    (width, size), *others = ends
    for other, height in others:
        if height != size or (how == "sum" and other != width):
            return (
                f"the branches of the {how} end at {width} channels of {as_map(size)} and at "
                f"{other} of {as_map(height)}"
            )
    return None


def width(how: How, ends: Ends) -> int:
    """Channels of what paths are joined to."""
    return ends[0][0] if how == "sum" else sum(width for width, _ in ends)


def split(
    paths: Sequence[tuple[Bound, ...]], cin: int, part: int, size: Size, at: int
) -> list[tuple[Bound, ...]]:
    """Paths that each begin with a slice of `part` of the `cin` channels."""
    return [
        (Layer("slice", cin, part, size, size, start=i * part, op=at), *path)
        for i, path in enumerate(paths)
    ]


def joined(
    how: How, paths: Sequence[tuple[Bound, ...]], width: int, size: Size, act: str | None, at: int
) -> tuple[Bound, ...]:
    """Paths as one item. A sum is added up in pairs; the activation follows the last. A concat at
    the end of a path of another one is made with that one: it is no part of its own (`part` 1)."""
    if how == "concat":
        join = Layer("concat", width, width, size, size, act=act, op=at)
        return (Concat(tuple(map(_inner, paths)), join),)
    total, *others = sorted(paths, key=lambda path: not path)  # the input itself last
    for left in reversed(range(len(others))):
        add = Layer("add", width, width, size, size, act=None if left else act, op=at, part=left)
        total = (Residual(total, others[-1 - left], add),)
    return total


def _inner(path: tuple[Bound, ...]) -> tuple[Bound, ...]:
    last = path[-1] if path else None
    if isinstance(last, Concat) and last.join.act is None:
        return (*path[:-1], replace(last, join=replace(last.join, part=1)))
    return path


def no_width(ops: Iterable[Op], cin: int, cout: int) -> str:
    """What is wrong with a body of `cin` channels that ends at `cout`, where no width is said."""
    joins = (op for op in ops if isinstance(op, Join) and op.op == "concat")
    if cout > cin and any(() in op.branches for op in joins):
        said = f"`width cin + {cout - cin}` where it adds to what comes in"
    else:
        said = f"`width {cout}`"
    return f"the body ends at {cout} channels; say {said}"
