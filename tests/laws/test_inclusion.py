"""Laws of membership, counting and sampling, against plain enumeration."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spacedsl.ir.block import Value
from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.identity import block_identity, normal_ops
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, SubnetBlock
from tests.laws.renaming import renamed
from tests.laws.strategies import RANDOMS, hyperspaces, members, narrowed

Member = tuple[tuple[str, int, tuple[tuple[str, Value], ...]], ...]
"""Of each block its type, with its activations in their places, its width, and its numbers."""


def stage_blocks(stage: Stage, choice: BlockChoice) -> Iterator[tuple[SubnetBlock, ...]]:
    """Every run of blocks of a stage with this block type, by brute force; some several times."""
    chosen = choice.chosen
    settings = [
        tuple(Setting(name=a.name, value=v) for a, v in zip(chosen, values, strict=True))
        for values in product(*(a.values for a in chosen))
    ]
    for window in stage.windows if stage.widths else ((0,),):
        alternatives = [SubnetBlock(width=w, settings=s) for w in window for s in settings]
        for depth in stage.depths:
            for blocks in product(alternatives, repeat=depth):
                if all(len({_trait(b, name) for b in blocks}) == 1 for name in stage.shared):
                    yield blocks


def _trait(block: SubnetBlock, name: str) -> Value | None:
    if name == "width":
        return block.width
    return next((s.value for s in block.settings if s.name == name), None)


def stage_members(stage: Stage) -> set[Member]:
    """Every distinct stage, whatever blocks and parameters are called."""
    found: set[Member] = set()
    for choice in stage.choices:
        found |= {
            tuple(_member(choice, block) for block in blocks)
            for blocks in stage_blocks(stage, choice)
        }
    return found


def _member(choice: BlockChoice, block: SubnetBlock) -> tuple[str, int, Any]:
    words = {s.name: (s.value,) for s in block.settings if isinstance(s.value, str)}
    args = tuple(a.model_copy(update={"values": words.get(a.name, a.values)}) for a in choice.args)
    closed = choice.model_copy(update={"args": args})
    names = normal_ops(closed)[1]
    numbers = ((names[s.name], s.value) for s in block.settings if s.name not in words)
    return block_identity(closed), block.width, tuple(sorted(numbers))


def is_covered(outer: Space, inner: Space) -> bool:
    """Inclusion of sets: stages choose independently, so stage by stage."""
    stages = zip(outer.stages, inner.stages, strict=True)
    return set(inner.resolutions) <= set(outer.resolutions) and all(
        a.stride == b.stride and stage_members(b) <= stage_members(a) for a, b in stages
    )


def check_inclusion(outer: Space, inner: Space) -> None:
    found = mismatch(outer, inner)
    assert (found is None) == is_covered(outer, inner)
    if found is not None:
        assert subnet_mismatch(inner, found.witness) is None
        assert subnet_mismatch(outer, found.witness) is not None


small = hyperspaces(elastic=1, most=2)


@given(hyperspaces())
def test_covers_is_reflexive(space: Space) -> None:
    assert mismatch(space, space) is None


@given(members())
def test_a_hyperspace_covers_its_members(space: Space) -> None:
    assert space.of is not None
    assert mismatch(space.of, space) is None


@given(small, RANDOMS)
def test_inclusion_of_narrowings_is_that_of_sets(space: Space, rng: random.Random) -> None:
    first, second = narrowed(space, rng), narrowed(space, rng)
    for outer, inner in ((space, first), (first, space), (first, second), (second, first)):
        check_inclusion(outer, inner)


@given(small, st.data())
def test_inclusion_of_changed_hyperspaces_is_that_of_sets(
    space: Space, data: st.DataObject
) -> None:
    other = data.draw(changed_stage(space))
    for one, two in ((space, other), (other, space)):
        check_inclusion(one, two)
        check_inclusion(one, renamed(two))


@st.composite
def changed_stage(draw: st.DrawFn, space: Space) -> Space:
    """Another window, other shared traits, fewer widths, depths or block types."""
    at = space.elastic[0]
    stage = space.stages[at]
    traits = ["width", *dict.fromkeys(a.name for c in stage.choices for a in c.chosen)]
    widths = stage.widths[draw(st.integers(0, len(stage.widths) - 1)) :]
    changed = stage.model_copy(
        update={
            "choices": stage.choices[: draw(st.integers(1, len(stage.choices)))],
            "widths": widths,
            "window": draw(st.integers(1, len(widths))),
            "depths": stage.depths[: draw(st.integers(1, len(stage.depths)))],
            "shared": tuple(draw(st.lists(st.sampled_from(traits), unique=True, max_size=3))),
        }
    )
    stages = (*space.stages[:at], changed, *space.stages[at + 1 :])
    return space.model_copy(update={"stages": stages})


@given(small)
def test_count_is_that_of_the_enumeration(space: Space) -> None:
    expected = len(space.resolutions)
    for stage in space.stages:
        expected *= len(stage_members(stage))
    assert count_subnets(space) == expected


@given(st.one_of(hyperspaces(), members()), RANDOMS)
def test_sampled_subnets_are_members(space: Space, rng: random.Random) -> None:
    for subnet in (smallest(space), largest(space), random_subnet(space, rng)):
        assert subnet_mismatch(space, subnet) is None
