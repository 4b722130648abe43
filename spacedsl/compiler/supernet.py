"""Space -> supernet plan, hyperspace -> BKD plans, subnet -> its JSON. Pure and torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from spacedsl.compiler.int8 import GATE, GATE_OFFSET, SHIFT, SIGMOID
from spacedsl.compiler.plans import need_head
from spacedsl.compiler.supernet_bodies import (
    Image,
    depends_on_channels,
    first_rows,
    plan_body,
    rest_rows,
)
from spacedsl.compiler.supernet_schema import (
    PlanOp,
    PlanOptional,
    PlanParam,
    PlanRules,
    PlanShortcut,
    PlanStage,
    SubnetBlockData,
    SubnetData,
    SubnetStageData,
    SupernetPlan,
)
from spacedsl.diagnostics import fault
from spacedsl.ir.block import Linear, walk
from spacedsl.ir.identity import block_identity, space_identity
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet, SubnetBlock
from spacedsl.ir.target import Target
from spacedsl.lang.write import write
from spacedsl.passes.bind import BindError
from spacedsl.runtimes.table import rules_of


def supernet_plan(space: Space, target: Target | None = None) -> SupernetPlan:
    """The plan of a space's weight-sharing supernet, for QAT with the 8-bit tensors of `target`.
    Raises `SpaceError` for a hyperspace, for a space without a head and for an activation that the
    target lacks in 8 bits,
    `BindError` where a body does not fit."""
    for stage in space.stages:
        if len(stage.choices) > 1 or stage.window < len(stage.widths):
            message = f"{space.name}, {stage.name}: several block types or windows"
            raise fault("not-a-space", message, "a supernet has one; name a space, or find one")
    need_head(smallest(space, space.resolutions[-1]).model_copy(update={"name": space.name}))
    cins: tuple[int, ...] = (Image(space.channels),)
    stages: list[PlanStage] = []
    for stage in space.stages:
        stages.append(_stage(stage, stage.choices[0], cins))
        cins = stage.widths or cins
    return SupernetPlan(
        kind="supernet",
        name=space.name,
        hash=space_identity(space),
        page=self_contained(space),
        resolutions=space.resolutions,
        input_stride=1,
        channels=space.channels,
        any_channels=_any_channels(space, stages),
        classes=_classes(space),
        rules=None if target is None else _rules(target, stages),
        stages=tuple(stages),
    )


def _rules(target: Target, stages: Sequence[PlanStage]) -> PlanRules:
    """The target's rules for what the plan has. Raises `SpaceError`."""
    rules = rules_of(target)
    bodies = [body for stage in stages for body in (stage.first, stage.rest) if body is not None]
    acts = sorted({act for body in bodies for act in _acts(body.ops)})
    return PlanRules(
        target=target.name,
        runtime=rules.runtime,
        acts=tuple((act, rules.rewrite(act)) for act in acts),
        gate=GATE,
        bias_offset=GATE_OFFSET,
        op_offset=SHIFT,
        table=SIGMOID,
    )


def _acts(ops: tuple[PlanOp, ...]) -> Iterator[str]:
    for op in ops:
        yield from (act for f in ("act", "gate") if (act := getattr(op, f, None)) is not None)
        if isinstance(op, PlanShortcut | PlanOptional):
            yield from _acts(op.body)


def bkd_plans(space: Space, target: Target | None = None) -> Iterator[SupernetPlan]:
    """One plan per elastic stage and block type, for LSQ+ with the 8-bit tensors of `target`; its
    input widths are all those of the stage before. Raises `SpaceError` for an activation that the
    target lacks in 8 bits, `BindError` where a body does not fit."""
    page, identity = self_contained(space), space_identity(space)
    for position in space.elastic:
        stage = space.stages[position]
        before = _widths_before(space, position)
        for choice in stage.choices:
            made = _stage(stage, choice, before)
            yield SupernetPlan(
                kind="bkd",
                name=f"{space.name} {stage.name} {choice.block.name or 'body'}",
                hash=identity,
                page=page,
                resolutions=space.resolutions,
                input_stride=prod(s.stride for s in space.stages[:position]),
                channels=space.channels,
                any_channels=position > 0,
                classes=None,
                rules=None if target is None else _rules(target, (made,)),
                stages=(made,),
            )


def self_contained(space: Space) -> str:
    """The space's page with every block and no `of`: text that needs no other page."""
    stages = tuple(
        stage.model_copy(update={"choices": tuple(_own(c) for c in stage.choices)})
        for stage in space.stages
    )
    return write(space.model_copy(update={"of": None, "stages": stages}))


def _own(choice: BlockChoice) -> BlockChoice:
    return choice.model_copy(update={"block": choice.block.model_copy(update={"source": ""})})


def _widths_before(space: Space, position: int) -> tuple[int, ...]:
    for stage in reversed(space.stages[:position]):
        if stage.widths:
            return stage.widths
    return (space.channels,)


def _stage(stage: Stage, choice: BlockChoice, cins: Sequence[int]) -> PlanStage:
    try:
        first = plan_body(choice, first_rows(stage, choice, cins), stage.stride)
        deep = stage.depths[-1] > 1
        rest = plan_body(choice, rest_rows(stage, choice, cins), 1) if deep else None
    except BindError as error:
        raise BindError(f"stage `{stage.name}`: {error}") from None
    return PlanStage(
        name=stage.name,
        block=choice.block.name,
        block_hash=block_identity(choice),
        elastic=stage.elastic,
        stride=stage.stride,
        depths=stage.depths,
        widths=stage.widths,
        window=stage.window,
        shared=stage.shared,
        params=tuple(PlanParam(name=a.name, values=_numbers(a.values)) for a in choice.numeric),
        first=first,
        rest=rest,
    )


def _numbers(values: tuple[int | float | str, ...]) -> tuple[int | float, ...]:
    return tuple(v for v in values if not isinstance(v, str))


def _any_channels(space: Space, stages: Sequence[PlanStage]) -> bool:
    """Only stages before the first with widths of its own can read the image's channels."""
    for declared, stage in zip(space.stages, stages, strict=True):
        bodies = [stage.first] + ([stage.rest] if stage.rest and not declared.widths else [])
        if any(depends_on_channels(body) for body in bodies):
            return False
        if declared.widths:
            return True
    return True


def _classes(space: Space) -> int | None:
    for op in walk(space.stages[-1].choices[0].block.ops):
        if isinstance(op, Linear):
            return op.classes
    return None


def subnet_data(subnet: Subnet) -> SubnetData:
    """A subnet of a space as the runtime reads it. Raises `SpaceError` for one of a hyperspace."""
    for stage, declared in zip(subnet.stages, subnet.of.stages, strict=True):
        if len(declared.choices) > 1:
            message = f"{subnet.of.name}, {declared.name}: block {stage.choice} of several"
            raise fault("not-a-space", message, "a supernet is made from a space")
    stages = tuple(
        SubnetStageData(name=declared.name, blocks=tuple(_block(b) for b in stage.blocks))
        for stage, declared in zip(subnet.stages, subnet.of.stages, strict=True)
    )
    return SubnetData(
        name=subnet.name,
        space=space_identity(subnet.of),
        resolution=subnet.resolution,
        stages=stages,
    )


def _block(block: SubnetBlock) -> SubnetBlockData:
    settings = {s.name: s.value for s in block.settings if not isinstance(s.value, str)}
    return SubnetBlockData(width=block.width, settings=settings)
