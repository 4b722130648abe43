"""Subnets of a supernet: their files, whether they are its members, and a line about each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from spacedsl.checksum import KEY, unsealed
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import check_stamp, read_json
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.expr import Frozen
from spacedsl.ir.identity import space_identity
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.json_files import first_mistake
from spacedsl.operators.size import Pair, Size

FORMAT: Final = "spacedsl-subnet"
VERSION: Final = 1


class SubnetBlockData(Frozen):
    width: int
    settings: dict[str, int | float | str | Pair]


class SubnetStageData(Frozen):
    name: str
    blocks: tuple[SubnetBlockData, ...]


class SubnetData(Frozen):
    """One network of a supernet: what `model` says in text. `space` is the space's hash; `cin` the
    input width of a BKD stage, null otherwise."""

    format: Literal["spacedsl-subnet"] = FORMAT
    version: Literal[1] = VERSION
    name: str
    space: str
    resolution: Size
    cin: int | None = None
    stages: tuple[SubnetStageData, ...]


def subnet_json(subnet: Subnet, plan: SupernetPlan | None = None) -> dict[str, Any]:
    """The JSON object of a subnet of a space, or of a plan's supernet. Raises `SpaceError` for one
    of a hyperspace."""
    for stage, declared in zip(subnet.stages, subnet.of.stages, strict=True):
        if len(declared.choices) > 1:
            message = f"{subnet.of.name}, {declared.name}: block {stage.choice} of several"
            raise fault("not-a-space", message, "a supernet is made from a space")
    stages = tuple(
        SubnetStageData(name=declared.name, blocks=tuple(map(_data, stage.blocks)))
        for stage, declared in zip(subnet.stages, subnet.of.stages, strict=True)
    )
    found = SubnetData(
        name=subnet.name,
        space=plan.hash if plan else space_identity(subnet.of),
        resolution=subnet.resolution,
        cin=subnet.of.channels if plan and plan.kind == "bkd" else None,
        stages=stages,
    )
    return found.model_dump(mode="json")


def _data(block: SubnetBlock) -> SubnetBlockData:
    return SubnetBlockData(width=block.width, settings=dict(block.chosen))


def load_subnet(source: Path | Mapping[str, Any], plan: SupernetPlan) -> Subnet:
    """A subnet of a plan's supernet from a file, or from its JSON object. Raises `SpaceError`."""
    where = "the subnet" if isinstance(source, Mapping) else str(source)

    def refuse(message: str) -> SpaceError:
        return fault("bad-subnet", f"{where}: {message}")

    def unreadable(message: str) -> SpaceError:
        return fault("bad-subnet", message)

    data = source if isinstance(source, Mapping) else read_json(source, unreadable)
    check_stamp(data, FORMAT, VERSION, refuse)
    if KEY in data or isinstance(source, Path):
        data = unsealed(data, where, unreadable)
    try:
        found = SubnetData.model_validate(data)
    except ValidationError as error:
        raise refuse(first_mistake(error)) from None
    if found.space != plan.hash:
        ours = f"the plan {plan.name} is {plan.hash[:16]}"
        raise refuse(f"a subnet of space {found.space[:16]}, {ours}")
    stages = tuple(SubnetStage(blocks=tuple(map(_block, stage.blocks))) for stage in found.stages)
    subnet = Subnet(
        name=found.name,
        of=plan.reading(plan.cins[0] if found.cin is None else found.cin),
        resolution=found.resolution,
        stages=stages,
    )
    check_member(plan, subnet)
    return subnet


def _block(data: SubnetBlockData) -> SubnetBlock:
    settings = tuple(Setting(name=name, value=value) for name, value in data.settings.items())
    return SubnetBlock(width=data.width, settings=settings)


def check_member(plan: SupernetPlan, subnet: Subnet) -> None:
    """Raise `SpaceError` unless `subnet` is one of the plan's, naming what is not and what is."""

    def refuse(message: str) -> SpaceError:
        return fault("bad-subnet", f"{subnet.name} is not a subnet of {plan.name}: {message}")

    if plan.kind == "bkd" and subnet.of.channels not in plan.cins:
        listed = ", ".join(map(str, plan.cins))
        raise refuse(f"input width {subnet.of.channels} is not one of {listed}")
    for stage, declared in zip(subnet.stages, plan.stages, strict=False):
        wanted = tuple(arg.name for arg in declared.choices[0].chosen)
        for block in stage.blocks:
            if (names := tuple(s.name for s in block.settings)) != wanted:
                raise refuse(f"{declared.name}: settings {names}, not {wanted}")
        if not stage.blocks or stage.choice:
            raise refuse(f"{declared.name}: no block of its one block type")
    found = subnet_mismatch(plan.space, subnet.model_copy(update={"of": plan.space}))
    if found is not None:
        raise refuse(f"{found.stage}: {found.reason}" if found.stage else found.reason)


def describe(subnet: Subnet) -> str:
    """A subnet on one line, for messages: `at 24; stem 8; stage1 16 kernel3 expand2, ...`."""
    stages = (
        f"{declared.name} {', '.join(map(_words, stage.blocks))}"
        for declared, stage in zip(subnet.of.stages, subnet.stages, strict=True)
    )
    return "; ".join((f"at {subnet.resolution}", *(s.strip() for s in stages)))


def _words(block: SubnetBlock) -> str:
    width = (str(block.width),) if block.width else ()
    return " ".join((*width, *(f"{name}{value}" for name, value in block.chosen)))
