"""Block-wise distillation of one (elastic stage, block type): in FP32, then LSQ+.

Sandwich rule with four paths: the largest, the smallest and two random sub-stages of one resolution
imitate the teacher's map after the stage, given its map before (SpaceEvo, Sec. 4.2). The map that
is imitated is of the greatest resolution, so that losses say what a smaller image loses; the
authors' is of the sub-stage's own. Nothing of one job is seen by another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import isfinite
from typing import Literal

import torch
from torch import Tensor, nn

from spacedsl.compiler.subnets import describe
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl_runtime.data.split import Data, Unreadables
from spacedsl_runtime.distill.features import Boundaries, FeatureCache, map_names, teacher_maps
from spacedsl_runtime.distill.loss import Definition, nsr_loss
from spacedsl_runtime.distill.quantised import QatBkdStage
from spacedsl_runtime.distill.stage import BkdStage, load_bkd_stage
from spacedsl_runtime.distill.table import EVALUATED, Maps, Row, evaluate, substages
from spacedsl_runtime.distill.teacher import Teacher, check_data
from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.elastic.sums import calibrate_sums
from spacedsl_runtime.errors import DivergedError
from spacedsl_runtime.train.batches import batches
from spacedsl_runtime.train.device import CPU, UNDER_WAY, Arriving, arriving, autocast, kernels
from spacedsl_runtime.train.evaluate import CALIBRATION_BATCH, Evaluation, distinct
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.train.seeds import Use, choices

RANDOM_PATHS = 2

QUANTISER_SHARE = 0.002
"""Learning rate of scales and offsets, as a share of what they begin with: Adam moves a parameter
by about its rate a step, and scales of weights are ten times smaller than a usual rate."""


TeacherResolution = Literal["greatest", "own"]
"""Of the images of which the teacher's maps are imitated: the greatest of all, or what a sub-stage
itself sees."""


@dataclass(frozen=True)
class BkdJob:
    """One elastic stage with one block type; `boundaries`: the teacher's before and after it.
    `resolutions` are those that it is trained and evaluated at; `samples` sub-stages per width
    window and resolution are evaluated. `lsq`: LSQ+ after the FP32 training `recipe`, whose seed it
    has; the losses are then those of the INT8 arithmetic that the plan's target does. Sub-stages
    are evaluated on `evaluated` batches of `images` images. `cache`, which changes no result, is of
    jobs with the same seed, resolutions and images. Nor do `workers`, the processes that read
    images, change it."""

    plan: SupernetPlan
    boundaries: Boundaries
    resolutions: tuple[Size, ...]
    samples: int
    recipe: Recipe
    lsq: Recipe | None = None
    definition: Definition = "teacher"
    teacher_resolution: TeacherResolution = "greatest"
    cache: FeatureCache | None = None
    workers: int = 0
    evaluated: int = EVALUATED
    images: int = CALIBRATION_BATCH

    @property
    def steps(self) -> int:
        """Of both trainings."""
        return self.recipe.steps + (self.lsq.steps if self.lsq else 0)

    @property
    def rows(self) -> int:
        """Sub-stages that are evaluated, at most."""
        windows = self.plan.stages[0].windows or ((),)
        return len(windows) * len(self.resolutions) * self.samples

    def view_size(self, resolution: Size) -> Size:
        """Pixels of the images that the teacher sees where sub-stages see `resolution`."""
        return max(self.resolutions) if self.teacher_resolution == "greatest" else resolution


Watch = Callable[[int, Mapping[str, float]], None]
"""Told the step and the loss of every sub-stage by name, the largest's first."""


def distill(
    job: BkdJob,
    teacher: Teacher,
    data: Data,
    unreadables: Unreadables,
    watch: Watch,
    device: torch.device = CPU,
) -> Iterator[Row]:
    """Train one job on the device that the teacher is on, and evaluate its sub-stages, one after
    the other. The same for the same arguments. Raises `DivergedError`, `DataError`, `TeacherError`
    for a teacher of other channels than the data."""
    with kernels(device, job.recipe.precision, deterministic=True):
        yield from _distill(job, teacher, data, unreadables, watch, device)


def _distill(
    job: BkdJob,
    teacher: Teacher,
    data: Data,
    unreadables: Unreadables,
    watch: Watch,
    device: torch.device,
) -> Iterator[Row]:
    check_data(teacher, data)
    before, after = (teacher.boundaries[i] for i in job.boundaries)
    stage = load_bkd_stage(job.plan, before.width, after.width, job.recipe.seed).to(device).train()
    training = _Training(job, teacher, data, unreadables, watch, device)
    training(stage, [{"params": list(stage.parameters()), "rate": job.recipe.lr}], job.recipe, 0)
    evaluation = Evaluation(
        data, teacher.normalise, job.recipe.seed, device, unreadables, batch=job.images
    )
    drawn = {r: list(substages(job.plan, job.samples, job.recipe.seed, r)) for r in job.resolutions}

    def plain(resolution: Size) -> Iterator[Maps]:
        images = islice(evaluation.calibration(job.view_size(resolution)), job.evaluated)
        for i, x in enumerate(images):
            yield training.maps(f"plain{resolution}-{i}", x, resolution)

    trained: BkdStage | QatBkdStage = stage
    if job.lsq is not None:
        greatest = max(job.resolutions)
        calibrate_sums(stage, lambda size: (given for given, _ in plain(size)), greatest)
        trained = QatBkdStage(stage).train()
        _start(trained, training, evaluation, [s for found in drawn.values() for _, s in found])
        training(trained, _quantised_groups(trained, job.lsq.lr), job.lsq, job.recipe.steps)
    trained.eval()
    for resolution, found in drawn.items():
        yield from evaluate(trained, found, list(plain(resolution)), job.definition)


def _start(
    qat: QatBkdStage, training: _Training, evaluation: Evaluation, evaluated: list[Subnet]
) -> None:
    """Quantisers for every sub-stage that will be trained or evaluated."""
    job = training.job
    steps = range(job.recipe.steps, job.steps)
    trained = [s for i in steps for s in paths(job, qat, i)[1].values()]
    chosen = qat.covering_all([*trained, *evaluated])
    greatest = max(job.resolutions)
    images = next(evaluation.calibration(greatest))
    given, _ = training.maps(f"plain{greatest}-0", images, greatest)
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
    device: torch.device

    def __call__(
        self,
        stage: BkdStage | QatBkdStage,
        groups: list[dict[str, object]],
        recipe: Recipe,
        first: int,
    ) -> None:
        """Steps `first`, ... of the job; `rate` of a group is its learning rate at the peak."""
        fused = self.device.type == "cuda" or None
        adam = torch.optim.Adam(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
        launched: deque[tuple[int, dict[str, Subnet], Arriving]] = deque()
        for step, (given, wanted) in self._steps(recipe, first):
            _, chosen = paths(self.job, stage, step)
            adam.zero_grad(set_to_none=True)
            losses = [self._backward(stage, s, given, wanted, recipe) for s in chosen.values()]
            parameters = [p for group in adam.param_groups for p in group["params"]]
            nn.utils.clip_grad_value_(parameters, recipe.clip)
            share = recipe.lr_at(step - first) / recipe.lr if recipe.lr else 0.0
            for group in adam.param_groups:
                group["lr"] = group["rate"] * share
            adam.step()
            launched.append((step, chosen, arriving(torch.stack(losses))))
            self._settle(launched, UNDER_WAY[self.device.type])
        self._settle(launched, 0)

    def _settle(self, launched: deque[tuple[int, dict[str, Subnet], Arriving]], most: int) -> None:
        """Wait until at most so many steps are under way; check and tell the losses of the others.
        Raises `DivergedError`."""
        while len(launched) > most:
            step, chosen, values = launched.popleft()
            losses = dict(zip(chosen, values.read(), strict=True))
            for name, loss in losses.items():
                if not isfinite(loss):
                    raise self._diverged(step, loss, name, chosen[name])
            self.watch(step + 1, losses)

    def _steps(self, recipe: Recipe, first: int) -> Iterator[tuple[int, Maps]]:
        """Steps and the teacher's maps; images are read where the maps are not kept."""
        whole = replace(recipe, steps=first + recipe.steps)
        step = first

        def size(step: int) -> Size:
            return self.job.view_size(resolution_at(self.job, step))

        while step < whole.steps:
            if kept := self._kept(step):
                yield step, kept
                step += 1
                continue
            rest = (World(), self.unreadables, self.job.workers, self.device)
            for views, _ in batches(self.data, whole, size, step, *rest):
                images, resolution = self.teacher.normalise(views), resolution_at(self.job, step)
                yield step, self.maps(f"step{step}", images, resolution)
                step += 1
                if self._kept(step):
                    break

    def _kept(self, step: int) -> Maps | None:
        cache, names = self.job.cache, self._names(resolution_at(self.job, step))
        found = cache.load(f"step{step}", names) if cache else None
        return self._pair(found, names) if found else None

    def _names(self, resolution: Size) -> tuple[str, str]:
        pooled = self.job.view_size(resolution) != resolution
        return map_names(self.job.boundaries, pooled=pooled)

    def maps(self, name: str, images: Tensor, resolution: Size) -> Maps:
        """The maps before and after the stage where it sees `resolution`, for images (N, C, S, S)
        of the size that the teacher sees; they may be kept under `name`."""
        cache, features, names = self.job.cache, self.teacher.features, self._names(resolution)
        if cache is None:
            return self._pair(
                teacher_maps(features, images, resolution, [self.job.boundaries]), names
            )
        compute = partial(teacher_maps, features, images, resolution, cache.stages)
        return self._pair(cache.get(name, names, compute), names)

    def _pair(self, found: Mapping[str, Tensor], names: tuple[str, str]) -> Maps:
        """In one memory format, wherever they come from: sums depend on it in their last bits."""
        before, after = (to_channels_last(found[name].to(self.device)) for name in names)
        return before, after

    def _backward(
        self,
        stage: BkdStage | QatBkdStage,
        subnet: Subnet,
        given: Tensor,
        wanted: Tensor,
        recipe: Recipe,
    ) -> Tensor:
        with autocast(self.device, recipe.precision):
            loss = nsr_loss(wanted, stage(given, subnet), self.job.definition)
        torch.autograd.backward(loss)
        return loss.detach()

    def _diverged(self, step: int, loss: float, name: str, subnet: Subnet) -> DivergedError:
        words = describe(subnet)
        message = f"{self.job.plan.name}: the loss is {loss} at step {step + 1}, sub-stage"
        return DivergedError(f"{message} `{name}` ({words})", "a lower --lr may help")


def resolution_at(job: BkdJob, step: int) -> Size:
    """Of a step's images, in pixels: the first that its generator draws."""
    return choices(job.recipe.seed, Use.subnets, step).choice(job.resolutions)


def paths(job: BkdJob, stage: BkdStage | QatBkdStage, step: int) -> tuple[Size, dict[str, Subnet]]:
    """The resolution of a step and its sub-stages by name, equal ones once."""
    elastic = stage.supernet if isinstance(stage, QatBkdStage) else stage
    rng = choices(job.recipe.seed, Use.subnets, step)
    resolution = rng.choice(job.resolutions)
    found = {"largest": elastic.largest(resolution), "smallest": elastic.smallest(resolution)}
    found |= {f"random{i}": elastic.sample(rng, resolution) for i in range(RANDOM_PATHS)}
    return resolution, distinct(found)
