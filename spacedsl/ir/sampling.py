"""Members of a space: the smallest, the largest and random subnets, in canonical form."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from spacedsl.ir.settings import are_free, canonical, canonical_stage, shared_groups
from spacedsl.ir.space import BlockChoice, Settings, Space, Stage
from spacedsl.ir.subnet import (
    Setting,
    Subnet,
    SubnetBlock,
    SubnetStage,
    largest_block,
    smallest_stage,
)
from spacedsl.operators.size import Size


def smallest(space: Space, resolution: Size | None = None) -> Subnet:
    """Narrowest widths, least settings, smallest depth; first block type where there are several.
    `resolution` in pixels, the smallest by default."""
    stages = tuple(map(smallest_stage, space.stages))
    return Subnet(
        name="smallest", of=space, resolution=resolution or space.resolutions[0], stages=stages
    )


def largest(space: Space, resolution: Size | None = None) -> Subnet:
    """The counterpart of `smallest`."""
    stages = tuple(
        SubnetStage(blocks=(largest_block(s, s.choices[0]),) * s.depths[-1]) for s in space.stages
    )
    found = Subnet(
        name="largest", of=space, resolution=resolution or space.resolutions[-1], stages=stages
    )
    return canonical(found)


def random_subnet(space: Space, rng: random.Random, name: str = "random") -> Subnet:
    """A random member: uniform resolution, then per stage a uniform block type, window and depth,
    then per block a uniform width and uniform settings of those that are different blocks (what
    is shared is drawn once, uniform over what shows in some block)."""
    return Subnet(
        name=name,
        of=space,
        resolution=rng.choice(space.resolutions),
        stages=tuple(_random_stage(stage, _random_type(stage, rng), rng) for stage in space.stages),
    )


def random_member(
    space: Space, rng: random.Random, resolution: Size, name: str = "random"
) -> Subnet:
    """As `random_subnet`, of a space: it has one block type a stage, so none is drawn."""
    stages = tuple(_random_stage(stage, 0, rng) for stage in space.stages)
    return Subnet(name=name, of=space, resolution=resolution, stages=stages)


def _random_type(stage: Stage, rng: random.Random) -> int:
    return rng.randrange(len(stage.choices))


def small_subnet(space: Space, rng: random.Random, name: str = "small") -> Subnet:
    """A random member among the small ones: the least resolution, and in every stage the narrowest
    window and the least depth."""
    stages = (
        s.model_copy(update={"widths": s.widths[: s.window], "depths": s.depths[:1]})
        for s in space.stages
    )
    return Subnet(
        name=name,
        of=space,
        resolution=space.resolutions[0],
        stages=tuple(_random_stage(stage, _random_type(stage, rng), rng) for stage in stages),
    )


def _random_stage(stage: Stage, choice: int, rng: random.Random) -> SubnetStage:
    widths: Sequence[int] = rng.choice(stage.windows) if stage.widths else (0,)
    depth = rng.choice(stage.depths)
    width_of = _drawer(rng, widths, shared="width" in stage.shared)
    settings_of = _settings_drawer(stage, stage.choices[choice], rng)
    blocks = tuple(
        SubnetBlock(
            width=width_of(),
            settings=tuple(Setting(name=name, value=value) for name, value in settings_of()),
        )
        for _ in range(depth)
    )
    return canonical_stage(stage, SubnetStage(choice=choice, blocks=blocks))


def _settings_drawer(
    stage: Stage, choice: BlockChoice, rng: random.Random
) -> Callable[[], Settings]:
    """Draws the settings of a block; where all combinations are different, value by value."""
    if not are_free(choice):
        group = rng.choice(shared_groups(stage, choice))
        return lambda: rng.choice(group)
    value_of = [
        (arg.name, _drawer(rng, arg.values, shared=arg.name in stage.shared))
        for arg in choice.chosen
    ]
    return lambda: tuple((name, draw()) for name, draw in value_of)


T = TypeVar("T")


def _drawer(rng: random.Random, values: Sequence[T], *, shared: bool) -> Callable[[], T]:
    if shared:
        fixed = rng.choice(values)
        return lambda: fixed
    return lambda: rng.choice(values)
