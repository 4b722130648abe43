"""A subnet: one network of a space (a `model` in text)."""

from __future__ import annotations

from spacedsl.ir.block import Value
from spacedsl.ir.expr import Frozen
from spacedsl.ir.space import BlockChoice, Settings, Space, Stage
from spacedsl.operators.size import Size


class Setting(Frozen):
    name: str
    value: Value


def in_short(name: str, value: Value) -> str:
    """A setting in as few letters as people know it by: `k3`, `relu`."""
    return value if isinstance(value, str) else f"{name[0]}{value}"


class SubnetBlock(Frozen):
    """One block: its output width (0 where the stage has no widths) and its settings, in the
    order of the block's parameters."""

    width: int
    settings: tuple[Setting, ...] = ()

    def setting(self, name: str) -> Value:
        """Raises `KeyError`."""
        for setting in self.settings:
            if setting.name == name:
                return setting.value
        raise KeyError(name)

    @property
    def chosen(self) -> Settings:
        """The settings as pairs."""
        return tuple((setting.name, setting.value) for setting in self.settings)


class SubnetStage(Frozen):
    """`choice` is the position of the block type in the stage's choices (0 in a space)."""

    choice: int = 0
    blocks: tuple[SubnetBlock, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """The chosen width of each block, 0 where none is."""
        return tuple(block.width for block in self.blocks)

    def behind(self, stage: Stage, cin: int) -> tuple[int, ...]:
        """The width behind each block of a subnet's `stage` into which `cin` channels come. Raises
        `EvaluationError`."""
        found: list[int] = []
        for block in self.blocks:
            cin = stage.width(cin, block.width, block.chosen) or cin
            found.append(cin)
        return tuple(found)


class Subnet(Frozen):
    """One network: a resolution and, for every stage of `of`, its blocks."""

    name: str
    of: Space
    resolution: Size
    stages: tuple[SubnetStage, ...]

    @property
    def blocks(self) -> int:
        """How many blocks a page says, those of a pyramid left out."""
        stages = zip(self.of.stages, self.stages, strict=True)
        return sum(len(stage.blocks) for declared, stage in stages if not declared.level)

    def choice(self, position: int) -> BlockChoice:
        """The block choice that stage `position` uses."""
        return self.of.stages[position].choices[self.stages[position].choice]


def smallest_block(stage: Stage, choice: BlockChoice) -> SubnetBlock:
    """The narrowest block of a stage with every parameter at its least value."""
    return SubnetBlock(
        width=stage.widths[0] if stage.widths else 0,
        settings=tuple(Setting(name=a.name, value=a.values[0]) for a in choice.chosen),
    )


def smallest_stage(stage: Stage) -> SubnetStage:
    """The shortest run of smallest blocks, of the first block type where there are several."""
    return SubnetStage(blocks=(smallest_block(stage, stage.choices[0]),) * stage.depths[0])


def largest_block(stage: Stage, choice: BlockChoice) -> SubnetBlock:
    """The widest block of a stage with every parameter at its greatest value."""
    return SubnetBlock(
        width=stage.widths[-1] if stage.widths else 0,
        settings=tuple(Setting(name=a.name, value=a.values[-1]) for a in choice.chosen),
    )
