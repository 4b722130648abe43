"""From the numbers of a setting to a member of a space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spacedsl.diagnostics import fault
from spacedsl.ir.block import Value
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.operators.size import Size


@dataclass(frozen=True, slots=True)
class StageSettings:
    """A stage of a network: output width (0: none to choose), depth, and per block the settings
    that are said."""

    width: int
    depth: int
    settings: tuple[Mapping[str, Value], ...] = ()


def member(space: Space, resolution: Size, parts: tuple[StageSettings, ...], name: str) -> Subnet:
    """The member of `space`, of one block type per stage. What no setting says takes the space's
    least value. Raises `SpaceError` where it is none."""
    for declared, part in zip(space.stages, parts, strict=True):
        known = [arg.name for arg in declared.choices[0].chosen]
        for said in dict.fromkeys(key for one in part.settings for key in one):
            if said not in known:
                message = f"{space.name} has no {said} to choose in {declared.name}"
                help = f"its blocks have {', '.join(known) or 'nothing to choose'}: leave it out"
                raise fault("bad-import", message, help)
    stages = tuple(map(_stage, space.stages, parts))
    subnet = Subnet(name=name, of=space, resolution=resolution, stages=stages)
    found = subnet_mismatch(space, subnet)
    if found is not None:
        stage = f"{found.stage}: " if found.stage else ""
        raise fault("not-a-member", f"not a member of {space.name}: {stage}{found.reason}")
    return subnet


def _stage(stage: Stage, part: StageSettings) -> SubnetStage:
    said = part.settings or ({},) * part.depth
    chosen = stage.choices[0].chosen
    blocks = tuple(
        SubnetBlock(
            width=part.width,
            settings=tuple(
                Setting(name=a.name, value=one.get(a.name, a.values[0])) for a in chosen
            ),
        )
        for one in said
    )
    return SubnetStage(blocks=blocks)
