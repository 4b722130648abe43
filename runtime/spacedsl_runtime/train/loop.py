"""The training loop: steps, metrics, checkpoints and evaluations of one run."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from spacedsl.checksum import sealed
from spacedsl.compiler.subnets import describe, subnet_json
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.settings import are_free
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl_runtime.board import Boards
from spacedsl_runtime.data.kept import LIMIT, Kept
from spacedsl_runtime.data.split import Data, Unreadables, unreadable_limit
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import DivergedError, RunError
from spacedsl_runtime.train.batches import Normalise, batches, usual_workers
from spacedsl_runtime.train.device import UNDER_WAY, Arriving, arriving, kernels
from spacedsl_runtime.train.evaluate import Evaluation, Score, evaluate_together, evaluated_subnets
from spacedsl_runtime.train.initial import Initial
from spacedsl_runtime.train.optimise import average_of, optimiser_of
from spacedsl_runtime.train.parallel import World, share, wait, world_of
from spacedsl_runtime.train.quantise import check_target, fp32_stamp, quantised
from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch, training_part
from spacedsl_runtime.train.run import CHECKPOINT, Description, Run
from spacedsl_runtime.train.seeds import Use, seed_of
from spacedsl_runtime.train.state import (
    Progress,
    State,
    Trained,
    load_state,
    save_state,
    scales_of,
)
from spacedsl_runtime.train.step import sandwich, train_step

LOG_STEPS = 10
FAILED = "failed.subnet.json"
DRAWS = "by form"
"""How random subnets are drawn where several settings say the same block. Earlier versions drew
otherwise, and said nothing of it."""


@dataclass(frozen=True)
class Job:
    """What to train on what, where to. `labels` in the files are
    the data's. `evaluate_every` and `save_every` are in steps; they, `workers`, `threads` and
    `recompute` (activations within blocks are computed again in the backward pass, which saves
    memory) do not change the weights. `deterministic`: on CUDA, kernels that give the same bytes
    each time. None workers are as many as usual. `fp32`: the folder of the training whose weights
    QAT begins with; the plan names a target then. `init`: the weights that an FP32 training begins
    with in place of random ones. `logs`: names of `board.KINDS`. `kept_bytes` of decoded images are
    kept for evaluations."""

    plan: SupernetPlan
    data: Data
    recipe: Recipe
    normalise: Normalise
    folder: Path
    evaluate_every: int
    save_every: int
    device: str = "cpu"
    workers: int | None = None
    threads: int | None = None
    recompute: bool = False
    deterministic: bool = True
    command: tuple[str, ...] = ()
    fp32: Path | None = None
    init: Initial | None = None
    logs: tuple[str, ...] = ()
    kept_bytes: int = LIMIT


@dataclass(frozen=True)
class Reached:
    """For those who watch: steps done, the largest subnet's loss, images a second, last scores."""

    step: int
    loss: float
    images_per_second: float
    scores: tuple[Score, ...]


Show = Callable[[Reached], None]
Warn = Callable[[str], None]


def train(job: Job, resume: bool, show: Show, warn: Warn) -> tuple[Score, ...]:
    """Train a supernet and return its last scores; its weights are in the folder's checkpoint.
    Raises `SpacedslError`: `RunError` for a folder that holds another run, `CheckpointError`,
    `DataError`, `DivergedError` for a loss that is not a number."""
    plan = job.plan
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    with ExitStack() as stack:
        world, device = stack.enter_context(world_of(job.device))
        stack.enter_context(kernels(device, job.recipe.precision, job.deterministic))
        if job.recipe.batch % world.size:
            raise RunError(f"a batch of {job.recipe.batch} is not shared by {world.size} processes")
        run = None
        if world.first:
            about = _describe(job, plan, world)
            run = stack.enter_context(Run(job.folder, about, resume, warn))
            if job.init is not None and not run.checkpoint.exists():
                for note in job.init.notes:
                    warn(note)
        wait(world)
        return _train(job, plan, run, world, device, show, warn)


def name_of(device: str) -> str:
    """`cpu`, or the card's name: bytes are the same on one kind of card only."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def _describe(job: Job, plan: SupernetPlan, world: World) -> Description:
    data = job.data
    settings = {
        "hash": plan.hash,
        "data": data.hash,
        "channels": data.channels,
        "classes": data.classes,
        "mean": job.normalise.mean,
        "std": job.normalise.std,
        "decoder": data.decoder,
        **vars(job.recipe),
    }
    if not job.recipe.distill_warmup:
        del settings["distill_warmup"]  # earlier versions say nothing of it
    if not all(are_free(stage.choices[0]) for stage in plan.stages):
        settings["draws"] = DRAWS
    if job.fp32 is not None:
        check_target(job.folder, plan)
        settings["fp32"] = fp32_stamp(job.fp32, plan.hash)
    if job.init is not None:
        settings["init"] = job.init.stamp
    about = {
        "data": data.spec,
        "labels": data.labels,
        "command": job.command,
        "threads": torch.get_num_threads(),
        "processes": world.size,
        "device": name_of(job.device),
    }
    return Description(plan, settings, about)


def _train(
    job: Job,
    plan: SupernetPlan,
    run: Run | None,
    world: World,
    device: torch.device,
    show: Show,
    warn: Warn,
) -> tuple[Score, ...]:
    recipe, data = job.recipe, training_part(job.data, job.recipe.holdout)
    unreadables = Unreadables(unreadable_limit(len(data.train.labels)), warn)
    kept = Kept(job.kept_bytes)
    evaluation = Evaluation(data, job.normalise, recipe.seed, device, unreadables, kept)
    state, progress = _begun(job, plan, evaluation, world, run)
    if progress.step:
        unreadables.names[:] = progress.unreadable
    if run is not None:
        run.boards = Boards(run.folder, progress.step, job.logs, warn)
    reports = _Reports(plan, recipe, world, run, evaluation, steps_per_epoch(data, recipe.batch))
    scores: tuple[Score, ...] = ()
    if _due(progress.step, job.evaluate_every, recipe):
        scores = reports.scores(state, progress.step)  # comes after the checkpoint
    loader = _loader(job, data, max(plan.resolutions), progress.step, world, unreadables, device)
    began = time.perf_counter()
    for step, (views, labels) in enumerate(loader, progress.step):
        images = job.normalise(views)
        subnets = sandwich(plan, recipe, step)
        torch.manual_seed(seed_of(recipe.seed, Use.dropout, step, world.rank))
        rate, softly = recipe.lr_at(step), recipe.distill_at(step)
        losses = train_step(
            state, images, labels, subnets, recipe, rate, softly, world, job.recompute
        )
        reports.launched.append(_Launched(step + 1, subnets, rate, arriving(losses)))
        saving = _due(step + 1, job.save_every, recipe)
        evaluating = _due(step + 1, job.evaluate_every, recipe)
        ended = reports.settled(0 if saving or evaluating else UNDER_WAY[device.type])
        speed = recipe.batch / (time.perf_counter() - began)
        if saving and run is not None:
            reached = Progress(step + 1, run.sync(), tuple(unreadables.names))
            save_state(run.checkpoint, state, reached, _stamp(job))
        if evaluating:
            scores = reports.scores(state, step + 1)
        for number, largest in ended:
            show(Reached(number, largest, speed, scores))
        began = time.perf_counter()
    wait(world)
    return scores if world.first else ()


def _loader(
    job: Job,
    data: Data,
    size: Size,
    start: int,
    world: World,
    unreadables: Unreadables,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Views (N, C, H, W) and labels (N,) of the steps from `start`, on the device."""
    workers = usual_workers(data, device.type, world.local) if job.workers is None else job.workers
    return batches(data, job.recipe, size, start, world, unreadables, workers, device)


@dataclass(frozen=True)
class _Reports:
    """What is logged of a run; `launched`: steps whose losses are not read yet."""

    plan: SupernetPlan
    recipe: Recipe
    world: World
    run: Run | None
    evaluation: Evaluation
    per_epoch: int
    launched: deque[_Launched] = field(default_factory=deque)

    def scores(self, state: State, step: int) -> tuple[Score, ...]:
        """Evaluate after a step. Raises `DivergedError` for a loss that is not a number."""
        subnets = evaluated_subnets(self.plan, self.recipe.seed)
        found = evaluate_together(self.evaluation, weights_of(state), subnets, self.world)
        self._check(step, {score.name: score.loss for score in found}, subnets)
        if self.run is not None:
            moved = {"scales_moved": state.moved()} if state.begun else {}
            said = {score.name: score.to_json() for score in found}
            self.run.log({"step": step, "scores": said, **moved})
        return found

    def settled(self, most: int) -> list[tuple[int, float]]:
        """Wait until at most so many steps are under way; check and log the others. Their numbers
        and the largest subnet's losses. Raises `DivergedError`."""
        found: list[tuple[int, float]] = []
        while len(self.launched) > most:
            one = self.launched.popleft()
            loss = dict(zip(one.subnets, one.losses.read(), strict=True))
            self._check(one.step, loss, one.subnets)
            if self.run is not None and _due(one.step, LOG_STEPS, self.recipe):
                epoch = one.step / self.per_epoch
                self.run.log({"step": one.step, "epoch": epoch, "lr": one.rate, "loss": loss})
            found.append((one.step, loss["largest"]))
        return found

    def _check(self, step: int, losses: Mapping[str, float], subnets: Mapping[str, Subnet]) -> None:
        if not all(map(isfinite, losses.values())):
            raise _diverged(step - 1, losses, subnets, self.plan, self.run)


@dataclass(frozen=True)
class _Launched:
    """A step (counted from 1) whose losses are on their way here."""

    step: int
    subnets: Mapping[str, Subnet]
    rate: float
    losses: Arriving


def _due(step: int, every: int, recipe: Recipe) -> bool:
    """After how many steps what is done `every` so many is done; the last is always among them."""
    return step > 0 and (step % every == 0 or step == recipe.steps)


def _begun(
    job: Job, plan: SupernetPlan, evaluation: Evaluation, world: World, run: Run | None
) -> tuple[State, Progress]:
    """What is trained, as it begins or as its checkpoint has it."""
    model = _model(job, plan, evaluation, world)
    averaged = average_of(model, job.recipe)
    state = State(model, optimiser_of(model, job.recipe), averaged, scales_of(model))
    return state, _resumed(job.folder / CHECKPOINT, state, run)


def _model(job: Job, plan: SupernetPlan, evaluation: Evaluation, world: World) -> Trained:
    """What is trained, as it begins; of a resumed training it has the shapes only."""
    data, seed, path = job.data, job.recipe.seed, job.folder / CHECKPOINT
    supernet = load_supernet(plan, data.channels, data.classes, seed).to(evaluation.device).train()
    if job.fp32 is None:
        if job.init is not None and not path.exists():
            job.init.write(supernet, evaluation.calibration)
        return supernet
    qat = quantised(supernet, job.fp32 / CHECKPOINT, path, evaluation.calibration, seed)
    share(qat, world)
    return qat.train()


def weights_of(state: State) -> Trained:
    """The weights that a training results in: averaged ones where it keeps an average."""
    return state.model if state.average is None else cast(Trained, state.average.module)


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
    plan: SupernetPlan,
    run: Run | None,
) -> DivergedError:
    name = next(n for n, loss in losses.items() if not isfinite(loss))
    where = f"step {step + 1}, subnet `{name}` ({describe(subnets[name])})"
    help = "a lower --lr or --clip may help; the last checkpoint is as it was"
    if run is not None:
        run.write(FAILED, sealed(subnet_json(subnets[name], plan)))
        help += f", the subnet is in {run.folder / FAILED}"
    return DivergedError(f"the loss is {losses[name]} at {where}", help)
