"""Predictions of whole networks by a quality model: the sums over their stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.space import BlockChoice
from spacedsl.ir.subnet import Subnet, SubnetStage
from spacedsl.operators.size import Size, as_number
from spacedsl.search.protocols import Floats, QualityModel, StageLoss

Key = tuple[int, int, Size, int, SubnetStage]
"""Elastic stage from 1, block type, resolution, channels in, and the stage's blocks."""


def network_losses(subnets: Sequence[Subnet], model: QualityModel) -> Floats:
    """The sum of each network's stage losses, (N,); NaN where the model does not cover it. Stem,
    stages that are not elastic and head say nothing."""
    known: dict[Key, float] = {}
    sums = np.zeros(len(subnets))
    for i, subnet in enumerate(subnets):
        cins = _widths_in(subnet)
        for number, at in enumerate(subnet.of.elastic, 1):
            cin = cins[at]
            choice, stage = subnet.choice(at), subnet.stages[at]
            key = (number, id(choice), subnet.resolution, cin, stage)
            if key not in known:
                loss = model.stage(number, choice)
                place = subnet.resolution, cin
                known[key] = np.nan if loss is None else _stage_loss(loss, place, stage, choice)
            sums[i] += known[key]
    return sums


def _widths_in(subnet: Subnet) -> list[int]:
    """The channels that come into each stage."""
    found = [subnet.of.channels]
    for declared, stage in zip(subnet.of.stages, subnet.stages, strict=True):
        found.append(stage.behind(declared, found[-1])[-1])
    return found


def _stage_loss(
    loss: StageLoss, place: tuple[Size, int], stage: SubnetStage, choice: BlockChoice
) -> float:
    resolution, cin = place
    depth, before = len(stage.blocks), np.array([cin])
    total = loss.base(resolution, depth, before)
    for position, block in enumerate(stage.blocks):
        width = np.array([block.width])
        said = choice.fixed | dict(block.chosen)
        settings = {name: np.array([as_number(value)]) for name, value in said.items()}
        total = total + loss.terms(resolution, depth, position, before, width, settings)
        before = width
    return float(loss.link(total)[0])


def network_values(subnets: Sequence[Subnet], model: QualityModel) -> Floats:
    """What each network is worth, in the unit of the model's valuation, (N,). Raises `SpaceError`
    where the model does not cover a network."""
    losses = network_losses(subnets, model)
    missing = np.flatnonzero(np.isnan(losses))
    if len(missing):
        count = f"{len(missing):,} of {len(subnets):,}"
        named = subnets[int(missing[0])]
        message = f"the quality table does not cover {count} networks, first {named.name}"
        raise fault("uncovered", message, "it knows only what its rows contained")
    values = np.zeros(len(subnets))
    resolutions = np.array([as_number(subnet.resolution) for subnet in subnets])
    for resolution in np.unique(resolutions):
        at = resolutions == resolution
        values[at] = model.valuation.value(losses[at], float(resolution))
    return values
