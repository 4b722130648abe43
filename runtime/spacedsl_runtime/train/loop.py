"""The training loop: the sandwich rule with in-place distillation (BigNAS, Yu et al., ECCV 2020).

A step trains the largest subnet on the labels, then the smallest and some random ones on what the
largest says, adds up their gradients and takes one step of the optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl_runtime.board import open_board
from spacedsl_runtime.data.split import Data, Unreadables, unreadable_limit
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import DivergedError, RunError
from spacedsl_runtime.plan import Plan, read_plan
from spacedsl_runtime.subnet import Subnet, describe, largest, sample, smallest, subnet_json
from spacedsl_runtime.train.batches import Normalise, batches, resized
from spacedsl_runtime.train.evaluate import Evaluation, Score, distinct, evaluated_subnets
from spacedsl_runtime.train.losses import adaptive_alpha_divergence, kl_divergence
from spacedsl_runtime.train.optimise import average_of, optimiser_of, set_rate
from spacedsl_runtime.train.parallel import World, average, share, wait, world_of
from spacedsl_runtime.train.quantise import check_target, fp32_stamp, quantised
from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch, training_part
from spacedsl_runtime.train.run import CHECKPOINT, Description, Run
from spacedsl_runtime.train.seeds import Use, choices, seed_of
from spacedsl_runtime.train.state import (
    Progress,
    State,
    Trained,
    load_state,
    save_state,
    scales_of,
)

LOG_STEPS = 10
FAILED = "failed.subnet.json"


@dataclass(frozen=True)
class Job:
    """What to train on what, where to. `plan_json` is the compiler's; `labels` in the files are
    the data's. `evaluate_every` and `save_every` are in steps; they, `workers` and `threads` do
    not change the weights. `fp32`: the folder of the training whose weights QAT begins with; the
    plan names a target then."""

    plan_json: Mapping[str, Any]
    data: Data
    recipe: Recipe
    normalise: Normalise
    folder: Path
    evaluate_every: int
    save_every: int
    device: str = "cpu"
    workers: int = 0
    threads: int | None = None
    command: tuple[str, ...] = ()
    fp32: Path | None = None


@dataclass(frozen=True)
class Reached:
    """For those who watch: steps done, the largest subnet's loss, images a second, last scores."""

    step: int
    loss: float
    images_per_second: float
    scores: tuple[Score, ...]


DIVERGENCES = {"kl": kl_divergence, "alpha": adaptive_alpha_divergence}

Show = Callable[[Reached], None]
Warn = Callable[[str], None]


def train(job: Job, resume: bool, show: Show, warn: Warn) -> tuple[Score, ...]:
    """Train a supernet and return its last scores; its weights are in the folder's checkpoint.
    Raises `SpacedslError`: `RunError` for a folder that holds another run, `CheckpointError`,
    `DataError`, `DivergedError` for a loss that is not a number."""
    plan = read_plan(job.plan_json, "supernet")
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    with ExitStack() as stack:
        world, device = stack.enter_context(world_of(job.device))
        if job.recipe.batch % world.size:
            raise RunError(f"a batch of {job.recipe.batch} is not shared by {world.size} processes")
        run = None
        if world.first:
            about = _describe(job, plan, world)
            run = stack.enter_context(Run(job.folder, about, resume, warn))
        wait(world)
        return _train(job, plan, run, world, device, show, warn)


def _describe(job: Job, plan: Plan, world: World) -> Description:
    data = job.data
    settings = {
        "hash": plan.hash,
        "data": data.hash,
        "channels": data.channels,
        "classes": data.classes,
        "mean": job.normalise.mean,
        "std": job.normalise.std,
        "processes": world.size,
        **vars(job.recipe),
    }
    if job.fp32 is not None:
        check_target(job.folder, plan)
        settings["fp32"] = fp32_stamp(job.fp32, plan.hash)
    about = {
        "data": data.spec,
        "labels": data.labels,
        "command": job.command,
        "threads": torch.get_num_threads(),
        "device": job.device,
    }
    return Description(plan, job.plan_json, settings, about)


def _train(
    job: Job,
    plan: Plan,
    run: Run | None,
    world: World,
    device: torch.device,
    show: Show,
    warn: Warn,
) -> tuple[Score, ...]:
    recipe, data = job.recipe, training_part(job.data, job.recipe.holdout)
    unreadables = Unreadables(unreadable_limit(len(data.train.labels)), warn)
    evaluation = Evaluation(data, job.normalise, recipe.seed, device, unreadables)
    model = _model(job, plan, evaluation, world)
    averaged = average_of(model, recipe)
    state = State(model, optimiser_of(model, recipe), averaged, scales_of(model))
    progress = _resumed(job.folder / CHECKPOINT, state, run)
    if progress.step:
        unreadables.names[:] = progress.unreadable
    if run is not None:
        run.board = open_board(run.folder, progress.step)
    per_epoch = steps_per_epoch(data, recipe.batch)

    def evaluated(run: Run, step: int) -> tuple[Score, ...]:
        subnets = evaluated_subnets(plan, recipe.seed)
        found = evaluation(weights_of(state), subnets)
        losses = {score.name: score.loss for score in found}
        if not all(map(_finite, losses.values())):
            raise _diverged(step - 1, losses, subnets, plan, run)
        moved = {"scales_moved": state.moved()} if state.begun else {}
        run.log({"step": step, "scores": {s.name: s.to_json() for s in found}, **moved})
        return found

    scores: tuple[Score, ...] = ()
    if run is not None and _due(progress.step, job.evaluate_every, recipe):
        scores = evaluated(run, progress.step)  # comes after the checkpoint
    loader = batches(
        data, recipe, max(plan.resolutions), progress.step, world, unreadables, job.workers
    )
    began = time.perf_counter()
    for step, (views, labels) in enumerate(loader, progress.step):
        images = job.normalise(views.to(device))
        subnets = sandwich(plan, recipe, step)
        torch.manual_seed(seed_of(recipe.seed, Use.dropout, step, world.rank))
        rate = recipe.lr_at(step)
        losses = train_step(state, images, labels.to(device), subnets, recipe, rate, world)
        speed = recipe.batch / (time.perf_counter() - began)
        loss = dict(zip(subnets, losses, strict=True))
        if not all(map(_finite, losses)):
            raise _diverged(step, loss, subnets, plan, run)
        done = step + 1
        if run is not None:
            if _due(done, LOG_STEPS, recipe):
                run.log({"step": done, "epoch": done / per_epoch, "lr": rate, "loss": loss})
            if _due(done, job.save_every, recipe):
                now = Progress(done, run.sync(), tuple(unreadables.names))
                save_state(run.checkpoint, state, now, _stamp(job))
            if _due(done, job.evaluate_every, recipe):
                scores = evaluated(run, done)
        show(Reached(done, losses[0], speed, scores))
        began = time.perf_counter()
    wait(world)
    return scores


def _due(step: int, every: int, recipe: Recipe) -> bool:
    """After how many steps what is done `every` so many is done; the last is always among them."""
    return step > 0 and (step % every == 0 or step == recipe.steps)


def _model(job: Job, plan: Plan, evaluation: Evaluation, world: World) -> Trained:
    """What is trained, as it begins; of a resumed training it has the shapes only."""
    data, seed, path = job.data, job.recipe.seed, job.folder / CHECKPOINT
    supernet = load_supernet(plan, data.channels, data.classes, seed).to(evaluation.device).train()
    if job.fp32 is None:
        return supernet
    qat = quantised(supernet, job.fp32 / CHECKPOINT, path, evaluation.calibration, seed)
    share(qat, world)
    return qat.train()


def sandwich(plan: Plan, recipe: Recipe, step: int) -> dict[str, Subnet]:
    """The subnets of a step by name: largest, smallest, random ones; equal ones once."""
    rng = choices(recipe.seed, Use.subnets, step)
    found = {"largest": largest(plan), "smallest": smallest(plan)}
    found |= {f"random{i}": sample(plan, rng) for i in range(recipe.random_subnets)}
    return distinct(found)


def train_step(
    state: State,
    images: Tensor,
    labels: Tensor,
    subnets: Mapping[str, Subnet],
    recipe: Recipe,
    rate: float,
    world: World,
) -> list[float]:
    """One step on images (N, C, S, S) and labels (N,) with learning rate `rate`; the loss of every
    subnet, the largest first. Where one is not finite, no weight is changed."""
    model, optimiser = state.model, state.optimiser
    optimiser.zero_grad(set_to_none=True)
    losses: list[Tensor] = []
    teacher: Tensor | None = None
    for subnet in subnets.values():
        logits = model(resized(images, subnet.resolution), subnet, dropout=teacher is None)
        loss = _loss(logits, labels, teacher, recipe)
        torch.autograd.backward(loss)
        losses.append(loss.detach())
        if teacher is None:
            teacher = logits.detach()
    found: list[float] = average(model, torch.stack(losses), world).tolist()
    if not all(map(_finite, found)):
        return found
    nn.utils.clip_grad_value_(model.parameters(), recipe.clip)
    set_rate(optimiser, rate)
    optimiser.step()
    if state.average is not None:
        state.average.update_parameters(model)
    return found


def _loss(logits: Tensor, labels: Tensor, teacher: Tensor | None, recipe: Recipe) -> Tensor:
    """Logits (N, classes) against labels, or by a divergence against the largest's."""
    softly = 0.0 if teacher is None else recipe.distill
    parts: list[Tensor] = []
    if softly < 1:
        hard = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        parts.append((1 - softly) * hard)
    if teacher is not None and softly > 0:
        divergence = DIVERGENCES[recipe.distill_loss]
        parts.append(softly * divergence(logits, teacher))
    return torch.stack(parts).sum()


def weights_of(state: State) -> Trained:
    """The weights that a training results in: averaged ones where it keeps an average."""
    return state.model if state.average is None else cast(Trained, state.average.module)


def _finite(value: float) -> bool:
    return value - value == 0


def _resumed(path: Path, state: State, run: Run | None) -> Progress:
    progress = load_state(path, state) if path.exists() else Progress()
    if run is not None:
        run.rewind(progress.log_bytes)
    return progress


def _stamp(job: Job) -> dict[str, Any]:
    data = job.data
    return {
        "data": data.spec,
        "data_hash": data.hash,
        "labels": data.labels,
        "mean": job.normalise.mean,
        "std": job.normalise.std,
    }


def _diverged(
    step: int,
    losses: Mapping[str, float],
    subnets: Mapping[str, Subnet],
    plan: Plan,
    run: Run | None,
) -> DivergedError:
    name = next(n for n, loss in losses.items() if not _finite(loss))
    where = f"step {step + 1}, subnet `{name}` ({describe(plan, subnets[name])})"
    help = "a lower --lr or --clip may help; the last checkpoint is as it was"
    if run is not None:
        run.write(FAILED, subnet_json(subnets[name], plan))
        help += f", the subnet is in {run.folder / FAILED}"
    return DivergedError(f"the loss is {losses[name]} at {where}", help)
