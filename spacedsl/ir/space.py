"""Hyperspaces and spaces: input, stages, and per stage the block choices and width windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, pairwise, product
from operator import floordiv
from typing import Annotated, Literal

from pydantic import Field

from spacedsl.ir.block import Block, Lateral, Pyramid, Value
from spacedsl.ir.expr import EvaluationError, Expr, Frozen, Num, evaluate_size, known, names_in
from spacedsl.operators.size import Size, by_side

MAX_DEPTH = 64
"""Blocks of a stage."""

MAX_REACHED = 1_024
"""Different widths behind a block whose width follows from what comes in."""

Settings = tuple[tuple[str, Value], ...]
"""What a block chooses by name, in the order of the block's parameters."""


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
    `growth`: the width of a block by the one that comes into it, `cin`, and by its settings; then
    none is chosen, and `widths` is empty."""

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
    def level(self) -> Literal["", "lateral", "pyramid"]:
        """What a stage is of a pyramid, whose stages no page says; "" for one that a page says."""
        ops = self.choices[0].block.ops if self.choices else ()
        return ops[0].op if ops and isinstance(ops[0], Lateral | Pyramid) else ""

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

    def width(self, cin: int, chosen: int, settings: Settings) -> int:
        """The width that a block of these settings with `cin` channels coming in ends at, of which
        `chosen` is the subnet's; 0 where the body keeps the width. Raises `EvaluationError`."""
        if self.growth is None:
            return chosen
        numbers = {name: known(value) for name, value in settings if not isinstance(value, str)}
        return evaluate_size(self.growth, {"cin": cin, **numbers})

    @property
    def ways(self) -> tuple[tuple[Settings, ...], ...]:
        """The settings that widths follow from, in one group per choice of what blocks share."""
        names = frozenset() if self.growth is None else frozenset(names_in(self.growth))
        args = [arg for choice in self.choices for arg in choice.chosen if arg.name in names]
        groups: dict[Settings, list[Settings]] = {}
        for values in product(*(arg.values for arg in args)):
            way = tuple((arg.name, value) for arg, value in zip(args, values, strict=True))
            shared = tuple(pair for pair in way if pair[0] in self.shared)
            groups.setdefault(shared, []).append(way)
        return tuple(map(tuple, groups.values()))

    def reached(self, cins: Iterable[int], blocks: int) -> tuple[int, ...]:
        """The widths that may come out of so many blocks, ascending, where those of `cins` may come
        into the first and none is chosen. Raises `EvaluationError`, also for too many."""
        found, begin = set[int](), set(cins)
        for ways in self.ways:
            widths = begin
            for _ in range(blocks):
                widths = {self.width(cin, 0, way) or cin for cin in widths for way in ways}
                if len(widths) > max(MAX_REACHED, len(begin)):
                    message = f"its blocks reach more than {MAX_REACHED:,} different widths"
                    raise EvaluationError(f"{message}; offer fewer values or depths, or share one")
            found |= widths
        return tuple(sorted(found))

    def within(self, cins: Iterable[int]) -> tuple[int, ...]:
        """The widths that may come into a block behind the first, ascending, where those of `cins`
        may come into that one."""
        if self.growth is None:
            return self.widths or tuple(cins)
        return self._behind(cins, range(1, self.depths[-1]))

    def outs(self, cins: Iterable[int]) -> tuple[int, ...]:
        """The widths that may come out, ascending, where those of `cins` may come in."""
        if self.growth is None:
            return self.widths or tuple(cins)
        return self._behind(cins, self.depths)

    def _behind(self, cins: Iterable[int], places: Iterable[int]) -> tuple[int, ...]:
        begin = tuple(cins)
        return tuple(sorted({w for place in places for w in self.reached(begin, place)}))


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
    outputs of a space without a head; of each stride the last map is meant. `pyramid`: the width of
    a feature pyramid over these maps, whose levels are the outputs then; 0 where there is none. Its
    stages stand among the others (`Stage.level`). `limit`: which spaces of a hyperspace there are;
    a space keeps it with all of its networks."""

    kind: Literal["hyperspace", "space"]
    name: str
    of: Space | None = None
    channels: int = 3
    resolutions: tuple[Size, ...]
    quality: str | None = None
    limit: Limit | None = None
    taps: tuple[Size, ...] = ()
    pyramid: Annotated[int, Field(exclude_if=lambda width: not width)] = 0
    stages: tuple[Stage, ...]

    @property
    def said(self) -> tuple[Stage, ...]:
        """The stages that a page says: all but those of a pyramid."""
        return tuple(stage for stage in self.stages if not stage.level)

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


def with_pyramid(space: Space, width: int, ends: Mapping[Size, int]) -> Space:
    """A space with a pyramid of some width over its taps. `ends`: the position of the stage whose
    output is the last map of each stride."""
    stages = list[Stage]()
    taps = {ends[stride]: stride for stride in space.taps}
    for position, stage in enumerate(space.stages):
        stages.append(stage)
        if position in taps:
            stages.append(_level(str(taps[position]), Lateral(width=Num(value=width))))
    coarsest_first = space.taps[::-1]
    steps = tuple(by_side(floordiv, a, b) for a, b in pairwise(coarsest_first))
    stages.append(_level("out", Pyramid(width=Num(value=width), steps=steps)))
    return space.model_copy(update={"pyramid": width, "stages": tuple(stages)})


def _level(name: str, op: Lateral | Pyramid) -> Stage:
    """A stage of a pyramid; no page can say a name with a point."""
    return Stage(name=f"pyramid.{name}", choices=(BlockChoice(block=Block(ops=(op,))),))
