"""Hyperspaces and spaces: input, stages, and per stage the block choices and width windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, combinations
from typing import Annotated, Literal

from pydantic import Field

from spacedsl.ir.block import Block, Value
from spacedsl.ir.expr import Expr, Frozen, evaluate_size
from spacedsl.operators.size import Size

MAX_DEPTH = 64
"""Blocks of a stage."""


class Arg(Frozen):
    """The values a block parameter may take, ascending; activations in the order of their table.
    `open`: whether one activation alone is a choice, as it is where it is one of several in a space
    that this one is compared with."""

    name: str
    values: tuple[Value, ...]
    open: Annotated[bool, Field(exclude_if=lambda said: not said)] = False

    @property
    def is_chosen(self) -> bool:
        """Whether a subnet says its value. It says every number, and an activation of several."""
        return self.open or len(self.values) > 1 or not isinstance(self.values[0], str)


class BlockChoice(Frozen):
    """A block type as a stage may use it: the block and the values of each of its parameters."""

    block: Block
    args: tuple[Arg, ...] = ()

    def values(self, name: str) -> tuple[Value, ...]:
        """The values of parameter `name`. Raises `KeyError`."""
        for arg in self.args:
            if arg.name == name:
                return arg.values
        raise KeyError(name)

    @property
    def chosen(self) -> tuple[Arg, ...]:
        """The parameters a subnet chooses per block (kernel, expand, ...), in declared order."""
        return tuple(arg for arg in self.args if arg.is_chosen)

    @property
    def fixed(self) -> dict[str, str]:
        """The activations of the other parameters."""
        return {arg.name: str(arg.values[0]) for arg in self.args if not arg.is_chosen}

    @property
    def words(self) -> dict[str, Value]:
        """The activations that are the only ones of their parameters."""
        words = (arg for arg in self.args if len(arg.values) == 1)
        return {a.name: a.values[0] for a in words if isinstance(a.values[0], str)}

    @property
    def views(self) -> Iterator[BlockChoice]:
        """The block type as it may be one of others: itself, then with some of its activations
        left open."""
        words = [arg.name for arg in self.args if not arg.is_chosen]
        for count in range(len(words) + 1):
            for names in combinations(words, count):
                args = (a.model_copy(update={"open": a.open or a.name in names}) for a in self.args)
                yield self.model_copy(update={"args": tuple(args)}) if names else self


class Stage(Frozen):
    """A run of blocks with one stride. `widths` ascending; a space takes `window` consecutive
    ones. The stride is taken by the first block. `shared`: what all blocks of a subnet's stage
    have in common ("width" or parameter names). A head without a width choice has no widths.
    `growth`: the width of a block by the one that comes into it, `cin`; then none is chosen, and
    `widths` is empty."""

    name: str
    elastic: bool = False
    choices: tuple[BlockChoice, ...]
    widths: tuple[int, ...] = ()
    growth: Annotated[Expr | None, Field(exclude_if=lambda growth: growth is None)] = None
    window: int = 0
    depths: tuple[int, ...] = (1,)
    stride: Size = 1
    shared: tuple[str, ...] = ()

    @property
    def windows(self) -> tuple[tuple[int, ...], ...]:
        """The width windows, narrowest first, numbered as the method numbers them."""
        count = len(self.widths) - self.window + 1
        return tuple(self.widths[i : i + self.window] for i in range(count))

    @property
    def is_open(self) -> bool:
        """Whether its networks differ."""
        numbers = (len(arg.values) for choice in self.choices for arg in choice.chosen)
        return max(len(self.choices), len(self.widths), len(self.depths), *numbers) > 1

    def width(self, cin: int, chosen: int) -> int:
        """The width that a block with `cin` channels coming in ends at, of which `chosen` is the
        subnet's; 0 where the body keeps the width. Raises `EvaluationError`."""
        return chosen if self.growth is None else evaluate_size(self.growth, {"cin": cin})

    def behind(self, cin: int, chosen: Iterable[int]) -> tuple[int, ...]:
        """The width behind each block, where `cin` channels come into the first and each block's
        chosen width is given, 0 where none is. Raises `EvaluationError`."""
        steps = accumulate(chosen, lambda cin, width: self.width(cin, width) or cin, initial=cin)
        return tuple(steps)[1:]

    def grown(self, cin: int, blocks: int) -> int:
        """The width behind so many blocks where none is chosen."""
        return (cin, *self.behind(cin, (0,) * blocks))[-1]

    def within(self, cins: Iterable[int]) -> tuple[int, ...]:
        """The widths that may come into a block behind the first, ascending, where those of `cins`
        may come into that one."""
        if self.growth is None:
            return self.widths or tuple(cins)
        places = range(1, self.depths[-1])
        return tuple(sorted({self.grown(cin, i) for cin in cins for i in places}))

    def outs(self, cins: Iterable[int]) -> tuple[int, ...]:
        """The widths that may come out, ascending, where those of `cins` may come in."""
        if self.growth is None:
            return self.widths or tuple(cins)
        return tuple(sorted({self.grown(cin, depth) for cin in cins for depth in self.depths}))


class Limit(Frozen):
    """The most multiply-accumulates (`flops`), parameters and bytes of 8-bit activations alive at a
    time (`memory`) that a network of a space may have; None: any number."""

    flops: int | None = None
    params: int | None = None
    memory: int | None = None


class Space(Frozen):
    """A hyperspace (several block types or windows per elastic stage) or a space (exactly one).

    Stages run from the stem to the head. `of` is the hyperspace a space was checked against;
    `channels`, `classes` (inside the head) and `quality` (the default quality table) come from
    data and are not part of the identity. `taps`: the strides, ascending, of the maps that are the
    outputs of a space without a head; of each stride the last map is meant. `limit`: which spaces
    of a hyperspace there are; a space keeps it with all of its networks."""

    kind: Literal["hyperspace", "space"]
    name: str
    of: Space | None = None
    channels: int = 3
    resolutions: tuple[Size, ...]
    quality: str | None = None
    limit: Limit | None = None
    taps: tuple[Size, ...] = ()
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        """Raises `KeyError` where there is no such stage."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def widths_after(self, position: int) -> tuple[int, ...]:
        """The channels that may come out of the stage at a position."""
        widths: tuple[int, ...] = (self.channels,)
        for stage in self.stages[: position + 1]:
            widths = stage.outs(widths)
        return widths

    @property
    def elastic(self) -> tuple[int, ...]:
        """Positions of the elastic stages."""
        return tuple(i for i, stage in enumerate(self.stages) if stage.elastic)
