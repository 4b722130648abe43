"""Block-wise distillation of one (elastic stage, block type): training and evaluation.

Sandwich rule with four paths: the largest, the smallest and two random sub-stages of one resolution
imitate the teacher's map after the stage, given its map before (SpaceEvo, Sec. 4.2; facts: section
5). Nothing of one job is seen by another."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spacedsl_runtime.data.split import Data, Unreadables
from spacedsl_runtime.distill.loss import Definition, nsr_loss
from spacedsl_runtime.distill.stage import BkdStage, load_bkd_stage
from spacedsl_runtime.distill.teacher import Teacher, check_data
from spacedsl_runtime.elastic.calibrate import recalibrate
from spacedsl_runtime.errors import DivergedError
from spacedsl_runtime.plan import Plan
from spacedsl_runtime.subnet import Block, Subnet, describe, sample
from spacedsl_runtime.train.batches import batches, resized
from spacedsl_runtime.train.evaluate import Evaluation, distinct
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.train.seeds import Use, choices

CALIBRATION_BATCHES = 4
EVALUATION_BATCHES = 4
"""Of 64 images, for each sub-stage of the table; their maps are held in memory."""

RANDOM_PATHS = 2


@dataclass(frozen=True)
class BkdJob:
    """One elastic stage with one block type; `boundaries`: the teacher's before and after it.
    `resolutions` are those that it is trained and evaluated at; `samples` sub-stages per width
    window and resolution are evaluated."""

    plan: Plan
    boundaries: tuple[int, int]
    resolutions: tuple[int, ...]
    samples: int
    recipe: Recipe
    definition: Definition = "teacher"


@dataclass(frozen=True)
class Row:
    """A sub-stage and its NSR loss; `window` counts from 0."""

    window: int
    subnet: Subnet
    loss: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        blocks = [[b.width, [value for _, value in b.settings]] for b in self.subnet.stages[0]]
        return {
            "window": self.window,
            "resolution": self.subnet.resolution,
            "cin": self.subnet.cin,
            "blocks": blocks,
            "loss": self.loss,
        }


Watch = Callable[[int, float], None]
"""Told the step and the largest sub-stage's loss."""


def distill(
    job: BkdJob, teacher: Teacher, data: Data, unreadables: Unreadables, watch: Watch
) -> tuple[Row, ...]:
    """Train one job and evaluate its sub-stages. The same for the same arguments. Raises
    `DivergedError`, `DataError`, `TeacherError` for a teacher of other channels than the data."""
    check_data(teacher, data)
    before, after = (teacher.boundaries[i] for i in job.boundaries)
    stage = load_bkd_stage(job.plan, before.width, after.width, job.recipe.seed).train()
    _train(job, stage, teacher, data, unreadables, watch)
    evaluation = Evaluation(
        data, teacher.normalise, job.recipe.seed, torch.device("cpu"), unreadables
    )
    return tuple(_evaluate(job, stage.eval(), teacher, evaluation))


def _train(
    job: BkdJob,
    stage: BkdStage,
    teacher: Teacher,
    data: Data,
    unreadables: Unreadables,
    watch: Watch,
) -> None:
    recipe = job.recipe
    adam = torch.optim.Adam(stage.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    found = batches(data, recipe, max(job.resolutions), 0, World(), unreadables)
    for step, (views, _) in enumerate(found):
        rng = choices(recipe.seed, Use.subnets, step)
        resolution = rng.choice(job.resolutions)
        paths = _paths(stage, rng, resolution)
        given, wanted = _maps(job, teacher, resized(teacher.normalise(views), resolution))
        adam.zero_grad(set_to_none=True)
        losses = [_backward(job, stage, subnet, given, wanted) for subnet in paths.values()]
        for (name, subnet), loss in zip(paths.items(), losses, strict=True):
            if loss - loss != 0:
                words = describe(job.plan, subnet)
                message = f"{job.plan.name}: the loss is {loss} at step {step + 1}, sub-stage"
                raise DivergedError(f"{message} `{name}` ({words})", "a lower --lr may help")
        nn.utils.clip_grad_value_(stage.parameters(), recipe.clip)
        for group in adam.param_groups:
            group["lr"] = recipe.lr_at(step)
        adam.step()
        watch(step + 1, losses[0])


def _paths(stage: BkdStage, rng: random.Random, resolution: int) -> dict[str, Subnet]:
    found = {"largest": stage.largest(resolution), "smallest": stage.smallest(resolution)}
    found |= {f"random{i}": stage.sample(rng, resolution) for i in range(RANDOM_PATHS)}
    return distinct(found)


def _maps(job: BkdJob, teacher: Teacher, images: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's maps before and after the stage, (N, C, H, W) each."""
    maps = teacher.features(images)
    return maps[job.boundaries[0]], maps[job.boundaries[1]]


def _backward(job: BkdJob, stage: BkdStage, subnet: Subnet, given: Tensor, wanted: Tensor) -> float:
    loss = nsr_loss(wanted, stage(given, subnet), job.definition)
    torch.autograd.backward(loss)
    return float(loss.detach())


def _evaluate(
    job: BkdJob, stage: BkdStage, teacher: Teacher, evaluation: Evaluation
) -> Iterable[Row]:
    """Losses of random sub-stages, batch norms re-calibrated, on plain views of other images than
    those of the calibration."""
    rng = choices(job.recipe.seed, Use.evaluation)
    for resolution in job.resolutions:
        images = list(evaluation.calibration(resolution))[
            : CALIBRATION_BATCHES + EVALUATION_BATCHES
        ]
        maps = [_maps(job, teacher, batch) for batch in images]
        middle = max(1, len(maps) // 2)
        known, fresh = maps[:middle], maps[middle:] or maps
        for window, subnet in _substages(job, rng, resolution):
            network = recalibrate(stage.extract(subnet), [given for given, _ in known])
            yield Row(window, subnet, _loss(job, network, fresh))


def _loss(job: BkdJob, network: nn.Module, maps: Sequence[tuple[Tensor, Tensor]]) -> float:
    with torch.no_grad():
        losses = [nsr_loss(wanted, network(given), job.definition) for given, wanted in maps]
    return float(torch.stack(losses).mean())


def _substages(job: BkdJob, rng: random.Random, resolution: int) -> Iterable[tuple[int, Subnet]]:
    """Distinct random sub-stages of every window, which their widths are of."""
    stage = job.plan.stages[0]
    for window, widths in enumerate(stage.windows or ((),)):
        narrow = replace(stage, widths=widths, window=len(widths))
        plan = replace(job.plan, stages=(narrow,))
        drawn: dict[tuple[int | None, tuple[Block, ...]], Subnet] = {}
        for _ in range(20 * job.samples):
            subnet = sample(plan, rng, resolution)
            drawn.setdefault((subnet.cin, subnet.stages[0]), subnet)
            if len(drawn) == job.samples:
                break
        yield from ((window, subnet) for subnet in drawn.values())
