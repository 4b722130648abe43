"""The rows of a quality table: sub-stages of a distilled stage and their NSR losses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet, SubnetStage
from spacedsl.operators.size import Pair, Size
from spacedsl_runtime.distill.loss import Definition, nsr_loss
from spacedsl_runtime.distill.quantised import QatBkdStage
from spacedsl_runtime.distill.stage import BkdStage
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.train.seeds import Use, choices

EVALUATED = 8
"""Batches of images: half of them calibrate the batch norms, the other half is evaluated. Their
maps are held in memory."""


@dataclass(frozen=True)
class Row:
    """A sub-stage and its NSR loss; `window` counts from 0."""

    window: int
    subnet: Subnet
    loss: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        (stage,) = self.subnet.stages
        blocks = [[b.width, [s.value for s in b.settings]] for b in stage.blocks]
        return {
            "window": self.window,
            "resolution": self.subnet.resolution,
            "cin": self.subnet.of.channels,
            "blocks": blocks,
            "loss": self.loss,
        }


def substages(
    plan: SupernetPlan, samples: int, seed: int, resolution: Size
) -> Iterator[tuple[int, Subnet]]:
    """Distinct random sub-stages of every window, which their widths are of."""
    stage, rng = plan.stages[0], choices(seed, Use.evaluation, *_sides(resolution))
    for window, widths in enumerate(stage.windows or ((),)):
        narrow = stage.model_copy(update={"widths": widths, "window": len(widths)})
        part = replace(plan, space=plan.space.model_copy(update={"stages": (narrow,)}))
        drawn: dict[tuple[int, SubnetStage], Subnet] = {}
        for _ in range(20 * samples):
            subnet = part.sample(rng, resolution)
            drawn.setdefault((subnet.of.channels, subnet.stages[0]), subnet)
            if len(drawn) == samples:
                break
        yield from ((window, subnet) for subnet in drawn.values())


def _sides(resolution: Size) -> tuple[int, ...]:
    return resolution if isinstance(resolution, Pair) else (resolution,)


Maps = tuple[Tensor, Tensor]
"""The teacher's before and after a stage, (N, C, H, W) each."""


def evaluate(
    stage: BkdStage | QatBkdStage,
    substages: Iterable[tuple[int, Subnet]],
    maps: Sequence[Maps],
    definition: Definition,
) -> Iterator[Row]:
    """The losses of sub-stages of one resolution on half of `maps`, batch norms re-calibrated on
    the other half. The stage is not changed."""
    middle = max(1, len(maps) // 2)
    known, fresh = maps[:middle], maps[middle:] or maps
    for window, subnet in substages:
        network = recalibrate(stage.extract(subnet), [given for given, _ in known])
        yield Row(window, subnet, _loss(network, fresh, definition))


def _loss(network: nn.Module, maps: Sequence[Maps], definition: Definition) -> float:
    with torch.no_grad():
        losses = [nsr_loss(wanted, network(given), definition) for given, wanted in maps]
    return float(torch.stack(losses).mean())
