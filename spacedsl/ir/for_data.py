"""A space as its data make it: the numbers that a page only has defaults for."""

from __future__ import annotations

from spacedsl.ir.block import Linear, Op, walk, with_bodies
from spacedsl.ir.space import Space


def classes_of(space: Space) -> int | None:
    """The classes that a page has as its default; None where its head does not classify."""
    ops = walk(space.stages[-1].choices[0].block.ops)
    return next((op.classes for op in ops if isinstance(op, Linear)), None)


def like(space: Space, other: Space) -> Space:
    """`space` with the channels and classes that the page of `other` has. Its hash stays."""
    classes = classes_of(other)
    return space if classes is None else for_data(space, other.channels, classes)


def for_data(space: Space, channels: int, classes: int) -> Space:
    """The same space, by its identity, with the channels and classes of data."""
    head = space.stages[-1]
    choices = tuple(
        choice.model_copy(
            update={
                "block": choice.block.model_copy(
                    update={"ops": _classifying(choice.block.ops, classes)}
                )
            }
        )
        for choice in head.choices
    )
    stages = (*space.stages[:-1], head.model_copy(update={"choices": choices}))
    return space.model_copy(update={"channels": channels, "stages": stages})


def _classifying(ops: tuple[Op, ...], classes: int) -> tuple[Op, ...]:
    return tuple(
        op.model_copy(update={"classes": classes})
        if isinstance(op, Linear)
        else with_bodies(op, lambda inner: _classifying(inner, classes))
        for op in ops
    )
