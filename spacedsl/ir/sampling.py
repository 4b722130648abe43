"""Members of a space: the smallest, the largest and uniformly random subnets."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from spacedsl.ir.space import Arg, Space, Stage
from spacedsl.ir.subnet import (
    Setting,
    Subnet,
    SubnetBlock,
    SubnetStage,
    largest_block,
    smallest_block,
)


def smallest(space: Space, resolution: int | None = None) -> Subnet:
    """Narrowest widths, least settings, smallest depth; first block type where there are several.
    `resolution` in pixels, the smallest by default."""
    stages = tuple(
        SubnetStage(blocks=(smallest_block(s, s.choices[0]),) * s.depths[0]) for s in space.stages
    )
    return Subnet(
        name="smallest", of=space, resolution=resolution or space.resolutions[0], stages=stages
    )


def largest(space: Space, resolution: int | None = None) -> Subnet:
    """The counterpart of `smallest`."""
    stages = tuple(
        SubnetStage(blocks=(largest_block(s, s.choices[0]),) * s.depths[-1]) for s in space.stages
    )
    return Subnet(
        name="largest", of=space, resolution=resolution or space.resolutions[-1], stages=stages
    )


def random_subnet(space: Space, rng: random.Random, name: str = "random") -> Subnet:
    """A random member: uniform resolution, then per stage a uniform block type, window and depth,
    then per block uniform width and settings (what is shared is drawn once)."""
    return Subnet(
        name=name,
        of=space,
        resolution=rng.choice(space.resolutions),
        stages=tuple(_random_stage(stage, rng) for stage in space.stages),
    )


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
        stages=tuple(_random_stage(stage, rng) for stage in stages),
    )


def _random_stage(stage: Stage, rng: random.Random) -> SubnetStage:
    choice = rng.randrange(len(stage.choices))
    widths: Sequence[int] = rng.choice(stage.windows) if stage.widths else (0,)
    depth = rng.choice(stage.depths)
    numeric = stage.choices[choice].numeric
    width_of = _drawer(rng, widths, shared="width" in stage.shared)
    value_of: list[tuple[Arg, Callable[[], int | float | str]]] = [
        (arg, _drawer(rng, arg.values, shared=arg.name in stage.shared)) for arg in numeric
    ]
    blocks = tuple(
        SubnetBlock(
            width=width_of(),
            settings=tuple(Setting(name=arg.name, value=draw()) for arg, draw in value_of),
        )
        for _ in range(depth)
    )
    return SubnetStage(choice=choice, blocks=blocks)


T = TypeVar("T")


def _drawer(rng: random.Random, values: Sequence[T], *, shared: bool) -> Callable[[], T]:
    if shared:
        fixed = rng.choice(values)
        return lambda: fixed
    return lambda: rng.choice(values)
