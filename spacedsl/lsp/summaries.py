"""What follows from stages, spaces and models, in a few lines of Markdown."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from spacedsl.diagnostics import SpaceError
from spacedsl.figures import amount, counted
from spacedsl.ir.block import Block
from spacedsl.ir.item import Item
from spacedsl.ir.size import count_spaces, count_subnets, stage_subnets
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.page import Page
from spacedsl.lang.values import shown, widths_text
from spacedsl.operators.size import as_map
from spacedsl.passes.errors import BindError

MAX_WINDOWS = 6
MAX_SITES = 4_000
"""Different blocks of a space whose range of FLOPs is shown; more would take too long."""


def item_or_none(page: Page, name: str) -> Item | None:
    """An item of a page, None where it has errors."""
    try:
        return page.get(name)
    except SpaceError:
        return None


def item_facts(item: Item | None) -> list[str]:
    """What follows from an item."""
    match item:
        case Space():
            return _space_facts(item)
        case Subnet():
            return _model_facts(item)
        case Target():
            limits = ", ".join(f"{limit:g} ms" for limit in item.limits_ms)
            return [f"limits: {limits}"]
        case Block() | None:
            return []


def _space_facts(space: Space) -> list[str]:
    lines = [counted(count_subnets(space), "subnet")]
    if space.kind == "hyperspace":
        lines.append(counted(count_spaces(space), "space"))
    cost = _cost(space)
    return [*lines, *([cost] if cost else [])]


@lru_cache(maxsize=64)
def _cost(space: Space) -> str:
    """The range of FLOPs and parameters, "" where it takes long or is not known."""
    if sum(map(_sites, space.stages)) > MAX_SITES:
        return ""
    from spacedsl.passes.extremes import cost_range

    try:
        ranges = cost_range(space)
    except BindError:
        return ""
    flops, params = ranges.flops, ranges.params
    return (
        f"{amount(flops.least)} to {amount(flops.greatest)} FLOPs, "
        f"{amount(params.least)} to {amount(params.greatest)} parameters, "
        f"{amount(ranges.memory.least)} to {amount(ranges.memory.greatest)} bytes of activations"
    )


def _sites(stage: Stage) -> int:
    settings = sum(prod(len(a.values) for a in c.chosen) for c in stage.choices)
    return max(1, len(stage.widths)) ** 2 * settings


def _model_facts(subnet: Subnet) -> list[str]:
    from spacedsl.passes.cost import subnet_cost
    from spacedsl.passes.memory import subnet_memory

    try:
        cost, memory = subnet_cost(subnet), subnet_memory(subnet)
    except BindError:
        return []
    return [
        f"{as_map(subnet.resolution)}, {counted(subnet.blocks, 'block')}",
        f"{amount(cost.flops)} FLOPs, {amount(cost.params)} parameters, "
        f"{amount(memory)} bytes of activations",
    ]


def stage_facts(stage: Stage) -> list[str]:
    """What a stage may be, and how many."""
    lines = [choice_facts(choice) for choice in stage.choices if choice.block.name]
    if said := widths_text(stage):
        lines.append(f"widths {said}")
    if stage.widths and stage.window < len(stage.widths):
        lines.append(windows(stage))
    lines.append(f"depth {shown(stage.depths)}; stride {stage.stride}")
    if stage.shared:
        lines.append(f"shared by its blocks: {', '.join(stage.shared)}")
    return [*lines, f"{counted(stage_subnets(stage), 'subnet')} of this stage"]


def windows(stage: Stage) -> str:
    """The windows of a stage's widths."""
    found = stage.windows
    some = [", ".join(map(str, window)) for window in found[:MAX_WINDOWS]]
    more = [f"{len(found) - MAX_WINDOWS} more"] if len(found) > MAX_WINDOWS else []
    return f"{counted(len(found), 'window')} of {stage.window} widths: {' | '.join([*some, *more])}"


def choice_facts(choice: BlockChoice) -> str:
    """A block type with the values that its parameters may take."""
    args = "  ".join(f"{arg.name} {shown(arg.values)}" for arg in choice.args)
    return f"{choice.block.name} {{ {args} }}" if args else choice.block.name


def stage_of(item: Item | None, name: str) -> Stage | None:
    """The stage of a space, or of the space of a model."""
    space = item.of if isinstance(item, Subnet) else item
    if not isinstance(space, Space):
        return None
    return next((stage for stage in space.stages if stage.name == name), None)
