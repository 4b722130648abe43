"""Block-wise distillation of one (elastic stage, block type): in FP32, then LSQ+.

Sandwich rule with four paths: the largest, the smallest and two random sub-stages of one resolution
imitate the teacher's map after the stage, given its map before (SpaceEvo, Sec. 4.2; facts: section
5). Nothing of one job is seen by another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor, nn

from spacedsl_runtime.data.split import Data, Unreadables
from spacedsl_runtime.distill.loss import Definition, nsr_loss
from spacedsl_runtime.distill.quantised import QatBkdStage
from spacedsl_runtime.distill.stage import BkdStage, load_bkd_stage
from spacedsl_runtime.distill.table import EVALUATED, Row, evaluate, substages
from spacedsl_runtime.distill.teacher import Teacher, check_data
from spacedsl_runtime.errors import DivergedError
from spacedsl_runtime.plan import Plan
from spacedsl_runtime.subnet import Subnet, describe
from spacedsl_runtime.train.batches import batches, resized
from spacedsl_runtime.train.evaluate import Evaluation, distinct
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.train.seeds import Use, choices

RANDOM_PATHS = 2

QUANTISER_SHARE = 0.002
"""Learning rate of scales and offsets, as a share of what they begin with: Adam moves a parameter
by about its rate a step, and scales of weights are ten times smaller than a usual rate."""


@dataclass(frozen=True)
class BkdJob:
    """One elastic stage with one block type; `boundaries`: the teacher's before and after it.
    `resolutions` are those that it is trained and evaluated at; `samples` sub-stages per width
    window and resolution are evaluated. `lsq`: LSQ+ after the FP32 training `recipe`, whose seed it
    has; the losses are then those of the INT8 arithmetic that the plan's target does."""

    plan: Plan
    boundaries: tuple[int, int]
    resolutions: tuple[int, ...]
    samples: int
    recipe: Recipe
    lsq: Recipe | None = None
    definition: Definition = "teacher"

    @property
    def steps(self) -> int:
        """Of both trainings."""
        return self.recipe.steps + (self.lsq.steps if self.lsq else 0)


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
    training = _Training(job, teacher, data, unreadables, watch)
    training(stage, [{"params": list(stage.parameters()), "rate": job.recipe.lr}], job.recipe, 0)
    evaluation = Evaluation(
        data, teacher.normalise, job.recipe.seed, torch.device("cpu"), unreadables
    )
    drawn = {r: list(substages(job.plan, job.samples, job.recipe.seed, r)) for r in job.resolutions}
    trained: BkdStage | QatBkdStage = stage
    if job.lsq is not None:
        trained = QatBkdStage(stage).train()
        _start(trained, training, evaluation, [s for found in drawn.values() for _, s in found])
        training(trained, _quantised_groups(trained, job.lsq.lr), job.lsq, job.recipe.steps)
    trained.eval()
    rows: list[Row] = []
    for resolution, found in drawn.items():
        images = islice(evaluation.calibration(resolution), EVALUATED)
        maps = [training.maps(batch) for batch in images]
        rows += evaluate(trained, found, maps, job.definition)
    return tuple(rows)


def _start(
    qat: QatBkdStage, training: _Training, evaluation: Evaluation, evaluated: list[Subnet]
) -> None:
    """Quantisers for every sub-stage that will be trained or evaluated."""
    job = training.job
    steps = range(job.recipe.steps, job.steps)
    trained = [s for i in steps for s in paths(job, qat, i)[1].values()]
    chosen = qat.covering_all([*trained, *evaluated])
    given, _ = training.maps(next(evaluation.calibration(max(job.resolutions))))
    qat.start(chosen, [given] * len(chosen))


def _quantised_groups(qat: QatBkdStage, rate: float) -> list[dict[str, object]]:
    """Weights, and every scale and offset at a rate of its own, without weight decay."""
    groups: list[dict[str, object]] = [{"params": list(qat.weight_parameters()), "rate": rate}]
    for parameter in qat.quantiser_parameters():
        if parameter.requires_grad:
            begin = float(parameter.detach().abs())
            share = QUANTISER_SHARE * begin
            groups.append({"params": [parameter], "rate": share, "weight_decay": 0.0})
    return groups


@dataclass(frozen=True)
class _Training:
    job: BkdJob
    teacher: Teacher
    data: Data
    unreadables: Unreadables
    watch: Watch

    def __call__(
        self,
        stage: BkdStage | QatBkdStage,
        groups: list[dict[str, object]],
        recipe: Recipe,
        first: int,
    ) -> None:
        """Steps `first`, ... of the job; `rate` of a group is its learning rate at the peak."""
        adam = torch.optim.Adam(groups, recipe.lr, weight_decay=recipe.weight_decay)
        whole = replace(recipe, steps=first + recipe.steps)
        size = max(self.job.resolutions)
        found = batches(self.data, whole, size, first, World(), self.unreadables)
        for step, (views, _) in enumerate(found, first):
            resolution, chosen = paths(self.job, stage, step)
            given, wanted = self.maps(resized(self.teacher.normalise(views), resolution))
            adam.zero_grad(set_to_none=True)
            losses = [self._backward(stage, subnet, given, wanted) for subnet in chosen.values()]
            for (name, subnet), loss in zip(chosen.items(), losses, strict=True):
                if loss - loss != 0:
                    raise self._diverged(step, loss, name, subnet)
            parameters = [p for group in adam.param_groups for p in group["params"]]
            nn.utils.clip_grad_value_(parameters, recipe.clip)
            share = recipe.lr_at(step - first) / recipe.lr if recipe.lr else 0.0
            for group in adam.param_groups:
                group["lr"] = group["rate"] * share
            adam.step()
            self.watch(step + 1, losses[0])

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's maps before and after the stage, (N, C, H, W) each."""
        maps = self.teacher.features(images)
        return maps[self.job.boundaries[0]], maps[self.job.boundaries[1]]

    def _backward(
        self, stage: BkdStage | QatBkdStage, subnet: Subnet, given: Tensor, wanted: Tensor
    ) -> float:
        loss = nsr_loss(wanted, stage(given, subnet), self.job.definition)
        torch.autograd.backward(loss)
        return float(loss.detach())

    def _diverged(self, step: int, loss: float, name: str, subnet: Subnet) -> DivergedError:
        words = describe(self.job.plan, subnet)
        message = f"{self.job.plan.name}: the loss is {loss} at step {step + 1}, sub-stage"
        return DivergedError(f"{message} `{name}` ({words})", "a lower --lr may help")


def paths(job: BkdJob, stage: BkdStage | QatBkdStage, step: int) -> tuple[int, dict[str, Subnet]]:
    """The resolution of a step and its sub-stages by name, equal ones once."""
    elastic = stage.supernet if isinstance(stage, QatBkdStage) else stage
    rng = choices(job.recipe.seed, Use.subnets, step)
    resolution = rng.choice(job.resolutions)
    found = {"largest": elastic.largest(resolution), "smallest": elastic.smallest(resolution)}
    found |= {f"random{i}": elastic.sample(rng, resolution) for i in range(RANDOM_PATHS)}
    return resolution, distinct(found)
