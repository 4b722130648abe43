"""spacedsl plan: what the steps from a hyperspace to deployed models will cost, beforehand."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, Device, precision_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.distillation import SAMPLES, Asked, Job, prepare
from spacedsl.cli.runs import counting_bar, warned
from spacedsl.flows.faults import need_training, runtime_faults
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data
    from spacedsl_runtime.distill.jobs import Opened
    from spacedsl_runtime.train.recipe import Recipe

SPACES = 3
"""Random spaces of a hyperspace that are timed: which one will be found is not known."""

ROW_BYTES = 180
"""Of a row of a distillation, in its job's file and in the table, and of a search's journal."""


@dataclass(frozen=True)
class Step:
    """A command's work: `steps` of `images` images in all. `seconds` are measured on this machine,
    None where nothing can be before it is done; `memory_bytes` of one process."""

    step: str
    steps: int
    images: int
    seconds: float | None
    disk_bytes: int
    memory_bytes: int
    note: str = ""


def plan(
    space: str = typer.Argument(..., metavar="PAGE", help="A hyperspace, or a space."),
    data: str = typer.Option(..., "--data", help="As for `distill` and `train`."),
    teacher: str | None = typer.Option(None, "--teacher", help="Else `distill` is left out."),
    target: str = typer.Option("cpu", "--target", help="The target of LSQ+ and QAT."),
    bkd_steps: int | None = typer.Option(None, "--bkd-steps", min=1, help="`distill --steps`."),
    samples: int = typer.Option(SAMPLES, "--samples", min=1, help="`distill --samples`."),
    jobs: int = typer.Option(1, "--jobs", min=1, help="`distill --jobs`."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="`train --steps`."),
    qat_steps: int | None = typer.Option(None, "--qat-steps", min=1, help="`train --qat --steps`."),
    batch: int | None = typer.Option(None, "--batch", min=1, help="`train --batch`."),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="CPU threads."),
    device: Device = DEVICE,
    format: Format = FORMAT,
) -> None:
    """Say beforehand what distill, evolve, train, train --qat and search will cost: steps, images,
    time measured on a few real batches, disk and memory."""
    need_training()
    found, target_page = api.load_space(space), api.load_target(target)
    asked = Asked(
        data,
        teacher or "",
        target_page,
        steps=bkd_steps,
        samples=samples,
        precision=precision_of(None, device, quantised=True),
    )
    quiet = format is Format.json
    with runtime_faults():
        import torch

        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.distill.jobs import Sources, open_sources

        if threads is not None:
            torch.set_num_threads(threads)
        costs: list[Step] = []
        if teacher is not None and found.elastic:
            opened = open_sources(Sources(data, teacher, 0), warned, device.value)
            costs.append(_distilling(found, asked, opened, jobs, quiet=quiet))
        if found.kind == "hyperspace":
            from spacedsl.search.evolve import CYCLES

            note = "table look-ups: seconds to minutes once the target is profiled"
            costs.append(Step("evolve", CYCLES, 0, None, 0, _memory(), note))
        whole = open_data(data)
        if whole.classes:
            asked_of = (steps, qat_steps, batch)
            costs += _training(found, target_page, whole, asked_of, device, quiet=quiet)
    if format is Format.json:
        emit({"space": found.name, "steps": [asdict(step) for step in costs]})
    else:
        print("\n".join(_lines(costs)))


def _distilling(space: Space, asked: Asked, opened: Opened, jobs: int, *, quiet: bool) -> Step:
    from spacedsl_runtime.measure.distilling import time_job

    todo, settings = prepare(space, asked, opened)
    seconds, rows = 0.0, 0
    with counting_bar("timing jobs", len(todo), quiet=quiet) as done:
        for i, job in enumerate(todo):
            own = _rows(job, len(settings["resolutions"]))
            seconds += time_job(job.task, opened).of(job.task, own)
            rows += own
            done(i + 1)
    steps = sum(job.task.steps for job in todo)
    parallel = min(jobs, len(todo))
    note = f"{len(todo)} jobs" + (f", {parallel} at a time on as many cores" if jobs > 1 else "")
    disk = rows * ROW_BYTES
    return Step("distill", steps, steps * asked.batch, seconds / parallel, disk, _memory(), note)


def _rows(job: Job, resolutions: int) -> int:
    return len(job.task.plan.stages[0].windows or ((),)) * resolutions * job.task.samples


def _training(
    space: Space,
    target: Target,
    data: Data,
    asked: tuple[int | None, int | None, int | None],
    device: Device,
    *,
    quiet: bool,
) -> Iterator[Step]:
    from spacedsl.compiler.integer_model import preprocess_for
    from spacedsl.compiler.supernet import supernet_plan
    from spacedsl_runtime.measure.supernets import time_supernet
    from spacedsl_runtime.train.batches import Normalise
    from spacedsl_runtime.train.device import device_of
    from spacedsl_runtime.train.recipe import qat_recipe_for, recipe_for

    steps, qat_steps, batch = asked
    recipe = recipe_for(data, steps=steps, batch=batch, precision=precision_of(None, device))
    qat = qat_recipe_for(data, vars(recipe), steps=qat_steps)
    usual, here = preprocess_for(data.channels), device_of(device.value)
    timed = []
    spaces = _spaces(space)
    with counting_bar("timing supernets", len(spaces), quiet=quiet) as done:
        for i, one in enumerate(spaces):
            plan = supernet_plan(one, target)
            normalise = Normalise(usual.mean, usual.std)
            timed.append(time_supernet(plan, data, recipe, normalise, warned, here))
            done(i + 1)
    count, memory = len(timed), _memory()
    note = f"mean of {count} random spaces" if count > 1 else ""
    disk = 8 * max(t.weights for t in timed)  # weights and momentum, 4 bytes each
    for name, settings, each in (
        ("train", recipe, sum(t.image_of_step for t in timed) / count),
        ("train --qat", qat, sum(t.image_of_qat_step for t in timed) / count),
    ):
        images = settings.steps * settings.batch
        yield Step(name, settings.steps, images, images * each, disk, memory, note)
    limits = len(target.limits_ms)
    subnets, images = _searching(spaces, limits, data, qat)
    image = sum(t.image for t in timed) / count
    most = f"at most by prediction, for {limits} limits"
    yield Step("search", subnets, images, images * image, subnets * ROW_BYTES, memory, most)


def _searching(spaces: list[Space], limits: int, data: Data, qat: Recipe) -> tuple[int, int]:
    """The most subnets that `search` usually values, and the images for that and for what it
    deploys: of these the file too is evaluated on the test split."""
    from spacedsl.search.subnets import VALUES
    from spacedsl_runtime.train.choose import IMAGES
    from spacedsl_runtime.train.evaluate import CALIBRATION_BATCH, CALIBRATION_BATCHES
    from spacedsl_runtime.train.recipe import training_part

    subnets = min(VALUES, max(map(count_subnets, spaces)))
    trained = len(training_part(data, qat.holdout).train.labels)
    calibration = min(CALIBRATION_BATCHES * CALIBRATION_BATCH, trained)
    deployed = 2 * (calibration + len(data.test.labels))
    return subnets, subnets * (calibration + min(qat.holdout, IMAGES)) + limits * deployed


def _spaces(space: Space) -> list[Space]:
    from spacedsl.search.candidate import Genome
    from spacedsl.search.compare import random_genotypes
    from spacedsl.search.stream import Stream

    if space.kind == "space":
        return [space]
    genome = Genome(space)
    chosen = random_genotypes(genome, SPACES, Stream(0))
    return [genome.to_space(g, f"random{i}") for i, g in enumerate(chosen)]


def _memory() -> int:
    """The most that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _lines(costs: list[Step]) -> Iterator[str]:
    for cost in costs:
        took = "not measured" if cost.seconds is None else _duration(cost.seconds)
        yield (
            f"{cost.step:<12} {took:>12}  {cost.steps:>9,} steps  {cost.images:>13,} images  "
            f"disk {cost.disk_bytes / 1e6:,.1f} MB  memory {cost.memory_bytes / 1e6:,.0f} MB"
            + (f"  ({cost.note})" if cost.note else "")
        )


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"
