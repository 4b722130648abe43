"""An item as a page that leans on no other: no `use`, no `of` but within the page."""

from __future__ import annotations

from spacedsl.ir.block import Block
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write


def resolved_text(item: Space | Subnet) -> str:
    """The flat page of a space, or of a model with its space. It has the same hash."""
    if isinstance(item, Space):
        return write(flattened(item))
    space = flattened(item.of)
    return write(space, item.model_copy(update={"of": space}))


def flattened(space: Space) -> Space:
    """The same space on its own, its blocks defined beside it under names that differ."""
    names: dict[str, Block] = {}
    stages = []
    for stage in space.stages:
        choices = tuple(_own(choice, names) for choice in stage.choices)
        known = {"width", *(arg.name for choice in choices for arg in choice.args)}
        shared = tuple(trait for trait in stage.shared if trait in known)  # of blocks left out
        stages.append(stage.model_copy(update={"choices": choices, "shared": shared}))
    return space.model_copy(update={"of": None, "stages": tuple(stages)})


def _own(choice: BlockChoice, names: dict[str, Block]) -> BlockChoice:
    block = choice.block
    if not block.name:
        return choice
    number, name = 1, block.name
    while True:
        own = block.model_copy(update={"source": "", "name": name})
        if names.setdefault(name, own) == own:
            return choice.model_copy(update={"block": own})
        number += 1
        name = f"{block.name}-{number}"
