"""As how many convolutions each convolution of a space is trained: what a training's weights depend
on and the hash does not say. Spaces of one hash have their convolutions in one order."""

from __future__ import annotations

from spacedsl.ir.block import Conv, DwConv, Op, walk, with_bodies
from spacedsl.ir.space import BlockChoice, Space

Counts = tuple[int, ...]
"""`reparam` of every convolution in order, one after the other of every choice of every stage; of
an operator that is none it is 0."""


def counts_of(space: Space) -> Counts:
    """What a space says; empty where it says nothing."""
    found = _all(space)
    return found if any(found) else ()


def trains_other_weights(space: Space) -> bool:
    """Whether some convolution is trained with other weights than it is deployed with."""
    ops = (op for s in space.stages for c in s.choices for op in walk(c.block.ops))
    return any(getattr(op, "reparam", 0) or getattr(op, "ones", False) for op in ops)


def _all(space: Space) -> Counts:
    return tuple(
        getattr(op, "reparam", 0)
        for stage in space.stages
        for choice in stage.choices
        for op in walk(choice.block.ops)
    )


def with_counts(space: Space, counts: Counts) -> Space:
    """A space that says `counts` in place of its own; one of another number of operators as it
    is."""
    left = list(counts) or [0] * len(_all(space))
    if len(left) != len(_all(space)):
        return space
    left.reverse()

    def counted(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        found: list[Op] = []
        for op in ops:
            count = left.pop()
            if isinstance(op, Conv | DwConv) and op.reparam != count:
                said = {"reparam": count, "norm": count > 0, "bias": count == 0}
                found.append(op.model_copy(update=said))
            else:
                found.append(with_bodies(op, counted))
        return tuple(found)

    def choice(old: BlockChoice) -> BlockChoice:
        block = old.block.model_copy(update={"ops": counted(old.block.ops)})
        return old.model_copy(update={"block": block})

    stages = tuple(
        stage.model_copy(update={"choices": tuple(map(choice, stage.choices))})
        for stage in space.stages
    )
    return space.model_copy(update={"stages": stages})
