"""What the steps from a hyperspace to deployed models will cost, beforehand. Needs PyTorch, which
is imported when it is called."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from spacedsl.compiler.integer_model import preprocess_for
from spacedsl.compiler.plans import need_head, need_logits
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.figures import counted, duration
from spacedsl.flows.distill_jobs import USUAL, Job, Settings, prepare
from spacedsl.flows.execution import ON_CPU, Execution, usual_precision
from spacedsl.flows.faults import runtime_faults
from spacedsl.flows.watch import SILENT, Watch, announced
from spacedsl.ir.sampling import smallest
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import random_genotypes
from spacedsl.search.evolve import CYCLES
from spacedsl.search.stream import Stream
from spacedsl.search.subnets import VALUES

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data
    from spacedsl_runtime.distill.jobs import Opened
    from spacedsl_runtime.train.recipe import Recipe

T = TypeVar("T")

BUDGET_S = 60.0
"""In which jobs are timed, and supernets: what is left out is taken to be like the others."""

SPACES = 3
"""Random spaces of a hyperspace that are timed: which one will be found is not known."""

ROW_BYTES = 180
"""Of a row of a distillation, in its job's file and in the table, and of a search's journal."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command's work: `steps` of `images` images in all. `seconds` are measured on this machine,
    None where nothing can be before it is done; `memory_bytes` of one process, by what the images
    held that were measured."""

    step: str
    steps: int
    images: int
    seconds: float | None
    disk_bytes: int
    memory_bytes: int
    note: str = ""


def estimate(
    space: Space,
    data: str,
    target: Target,
    *,
    teacher: str | None = None,
    distill: Settings = USUAL,
    jobs: int = 1,
    steps: int | None = None,
    qat_steps: int | None = None,
    batch: int | None = None,
    execution: Execution = ON_CPU,
    watch: Watch = SILENT,
) -> tuple[Step, ...]:
    """What the steps from a hyperspace, or a space, to deployed models will cost on data, measured
    on a few real images. Without a `teacher` nothing is distilled. `jobs` of a distillation run at
    a time; `steps`, `qat_steps` and `batch` are those of training. Raises `SpaceError`."""
    if space.kind == "space":
        need_logits(space, "`plan`")
    if not space.taps:
        need_head(smallest(space, space.resolutions[-1]).model_copy(update={"name": space.name}))
    with runtime_faults():
        import torch

        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.distill.jobs import Sources, open_sources

        if execution.threads is not None:
            torch.set_num_threads(execution.threads)
        whole = open_data(data)
        asked = steps, qat_steps, batch
        recipes = _recipes(whole, asked, execution.device) if whole.classes else None
        found: list[Step] = []
        if teacher is not None and space.elastic:
            opened = open_sources(Sources(data, teacher, 0), watch.warn, execution.device)
            found.append(_distilling(space, target, distill, opened, jobs, watch))
        if space.kind == "hyperspace":
            note = "table look-ups: seconds to minutes once the target is profiled"
            found.append(Step("evolve", CYCLES, 0, None, 0, _memory(), note))
        if recipes is not None and not space.taps:
            found += _training(space, target, whole, recipes, execution.device, watch)
    return tuple(found)


def _recipes(
    data: Data, asked: tuple[int | None, int | None, int | None], device: str
) -> tuple[Recipe, Recipe]:
    """Those of `train` and `train --qat`. `asked`: steps, steps of QAT, and batch."""
    from spacedsl_runtime.train.recipe import qat_recipe_for, recipe_for

    steps, qat_steps, batch = asked
    precision = usual_precision(device, quantised=False)
    recipe = recipe_for(data, steps=steps, batch=batch, precision=precision)
    return recipe, qat_recipe_for(data, vars(recipe), steps=qat_steps)


def _distilling(
    space: Space, target: Target, asked: Settings, opened: Opened, jobs: int, watch: Watch
) -> Step:
    from spacedsl_runtime.measure.distilling import JobCost, time_job

    todo, _ = prepare(space, target, asked, opened)
    timed: dict[int, list[JobCost]] = {job.number: [] for job in todo}
    for job in _timing("jobs", _mixed(todo), len(timed), watch):
        timed[job.number].append(time_job(job.task, opened))
    costs = [cost for found in timed.values() for cost in found]
    seconds = sum(fmean(cost.seconds(job.task) for cost in timed[job.number]) for job in todo)
    steps = sum(job.task.steps for job in todo)
    parallel = min(jobs, len(todo))
    note = f"{counted(len(todo), 'job')}, {len(costs)} of them timed"
    note += f"; {parallel} at a time on as many cores" if jobs > 1 else ""
    rows = sum(job.task.rows for job in todo)
    disk, memory = rows * ROW_BYTES, _memory() + max(cost.more for cost in costs)
    return Step("distill", steps, steps * asked.batch, seconds / parallel, disk, memory, note)


def _mixed(jobs: Sequence[Job]) -> list[Job]:
    """Jobs in an order whose first ones are of all stages, and of many block types."""
    types = 1 + max(job.choice for job in jobs)
    return sorted(jobs, key=lambda job: ((job.choice - job.number) % types, job.number))


def _timing(what: str, parts: Sequence[T], least: int, watch: Watch) -> Iterator[T]:
    """What is timed of some parts: at least so many of them, and no more after `BUDGET_S`."""
    note = f"a few images of each; about {duration(BUDGET_S)}, or until {least} are done"
    began, done = time.monotonic(), 0
    with announced(watch, f"timing {what}", note) as show:
        for part in parts:
            spent = time.monotonic() - began
            if done >= least and spent >= BUDGET_S:
                break
            share = max(done / len(parts), min(done / least, spent / BUDGET_S))
            show(share, f"{done} of {len(parts)} {what}")
            yield part
            done += 1
        show(1.0, f"{done} of {len(parts)} {what}")


def _training(
    space: Space,
    target: Target,
    data: Data,
    recipes: tuple[Recipe, Recipe],
    device: str,
    watch: Watch,
) -> Iterator[Step]:
    from spacedsl_runtime.measure.memory import free_bytes
    from spacedsl_runtime.measure.supernets import time_supernet
    from spacedsl_runtime.train.batches import Normalise
    from spacedsl_runtime.train.device import device_of

    recipe, qat = recipes
    usual, here = preprocess_for(data.channels), device_of(device)
    normalise = Normalise(usual.mean, usual.std)
    spaces = _spaces(space)
    timed = [
        time_supernet(supernet_plan(one, target), data, recipes, normalise, watch.warn, here)
        for one in _timing("supernets", spaces, 1, watch)
    ]
    memory, free = _memory(), free_bytes(here)
    random = f"mean of {len(timed)} random spaces" if len(timed) > 1 else "of a random space"
    notes = [random] if space.kind == "hyperspace" else []
    disk = 8 * max(t.weights for t in timed)  # weights and momentum, 4 bytes each
    for name, settings, each, more in (
        ("train", recipe, fmean(t.image_of_step for t in timed), max(t.more for t in timed)),
        (
            "train --qat",
            qat,
            fmean(t.image_of_qat_step for t in timed),
            max(t.more_of_qat for t in timed),
        ),
    ):
        images = settings.steps * settings.batch
        note = "; ".join([*notes, *_too_much(more, free, settings.batch)])
        yield Step(name, settings.steps, images, images * each, disk, memory + more, note)
    limits = len(target.limits_ms)
    subnets, images = _searching(spaces, limits, data, qat)
    image = fmean(t.image for t in timed)
    most = f"at most by prediction, for {limits} limits"
    yield Step("search", subnets, images, images * image, subnets * ROW_BYTES, memory, most)


def _too_much(more: int, free: int | None, batch: int) -> list[str]:
    """What is said where the memory that a batch needs besides does not fit."""
    if free is None or more < free:
        return []
    said = f"{more / 1e9:.1f} GB more do not fit: {free / 1e9:.1f} GB are free"
    return [f"{said}; try --batch {batch // 2}"]


def _searching(spaces: list[Space], limits: int, data: Data, qat: Recipe) -> tuple[int, int]:
    """The most subnets that `search` usually values, and the images for that and for what it
    deploys: of these the file too is evaluated on the test split."""
    from spacedsl_runtime.train.choose import IMAGES
    from spacedsl_runtime.train.evaluate import CALIBRATION_BATCH, CALIBRATION_BATCHES
    from spacedsl_runtime.train.recipe import training_part

    subnets = min(VALUES, max(map(count_subnets, spaces)))
    trained = len(training_part(data, qat.holdout).train.labels)
    calibration = min(CALIBRATION_BATCHES * CALIBRATION_BATCH, trained)
    deployed = 2 * (calibration + len(data.test.labels))
    return subnets, subnets * (calibration + min(qat.holdout, IMAGES)) + limits * deployed


def _spaces(space: Space) -> list[Space]:
    if space.kind == "space":
        return [space]
    genome = Genome(space)
    chosen = random_genotypes(genome, SPACES, Stream(0))
    return [genome.to_space(g, f"random{i}") for i, g in enumerate(chosen)]


def _memory() -> int:
    """The most that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
