"""spacedsl distill: block-wise distillation of a hyperspace, to a quality table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.runs import counting_bar, need_training, runtime_faults
from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl_runtime.distill.loop import Row
    from spacedsl_runtime.distill.teacher import Part, Teacher
    from spacedsl_runtime.plan import Plan

EPOCHS, BATCH = 5, 64
EDGE_LR, LR = 0.005, 0.01
"""Learning rates of the first and the last elastic stage, and of the others."""

RESOLUTIONS = 3
"""How many of the hyperspace's resolutions are used by default: least, middle, greatest."""

ATTEMPTS = 2


@dataclass(frozen=True)
class Job:
    """Elastic stage `number` (from 1) with block type `choice` (from 0)."""

    number: int
    choice: int
    name: str
    plan: Plan


Watch = Callable[[int, float], None]
Attempt = Callable[[Job, Watch], "tuple[Row, ...]"]


def distill(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    data: str = typer.Option(..., "--data", help="Also photos:DIR; labels are not used."),
    teacher: str = typer.Option(..., "--teacher", help="lite0, lite1, lite2 or checkpoint:RUN."),
    out: Path = typer.Option(..., "--out", help="The run directory."),
    epochs: int = typer.Option(EPOCHS, "--epochs", min=1, help="Of every job."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="Of every job, not epochs."),
    batch: int = typer.Option(BATCH, "--batch", min=1, help="Images a step."),
    lr: float | None = typer.Option(None, "--lr", min=0, help="Else .005 at both ends, .01."),
    samples: int = typer.Option(
        100, "--samples", min=1, help="Sub-stages evaluated per window and resolution."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Of everything random."),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="CPU threads."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    format: Format = FORMAT,
) -> None:
    """Distil every (stage, block type) of a hyperspace from a teacher, in FP32, and fit a quality
    table for `evolve --quality` to the losses of their sub-stages."""
    from spacedsl.tables.files import DISTILLED

    need_training()
    space = _hyperspace(hyper)
    with runtime_faults():
        from spacedsl_runtime.train.run import holds_run

        holds_run(out, resume)
        import torch

        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.data.split import Unreadables, unreadable_limit
        from spacedsl_runtime.distill import results
        from spacedsl_runtime.distill.loop import BkdJob
        from spacedsl_runtime.distill.loop import distill as run
        from spacedsl_runtime.distill.teacher import check_data, cut, open_teacher
        from spacedsl_runtime.train.evaluate import Evaluation
        from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch

        if threads is not None:
            torch.set_num_threads(threads)
        opened = open_data(data)
        found = Unreadables(unreadable_limit(len(opened.train.labels)), _warn)
        cpu = torch.device("cpu")
        master: Teacher = open_teacher(
            teacher, lambda n, r: Evaluation(opened, n, seed, cpu, found).calibration(r)
        )
        check_data(master, opened)
        places = cut(_parts(space), master)
        per_epoch = steps_per_epoch(opened, batch)
        total = steps or epochs * per_epoch
        chosen = _spread(space.resolutions)
        jobs = list(_jobs(space))
        settings = {
            "hyperspace": jobs[0].plan.hash,
            "data": opened.hash,
            "teacher": master.hash,
            "steps": total,
            "batch": batch,
            "lr": lr,
            "samples": samples,
            "seed": seed,
            "resolutions": chosen,
        }
        about = {"command": ["spacedsl", *sys.argv[1:]], "data": data, "teacher": teacher}
        results.begin(out, jobs[0].plan.page, settings, about, resume)

        def attempt(job: Job, watch: Watch) -> tuple[Row, ...]:
            edge = job.number in (1, len(space.elastic))
            rate = lr if lr is not None else EDGE_LR if edge else LR
            recipe = Recipe(total, batch, rate, 0, 1e-4, seed=seed)
            stage = space.stages[space.elastic[job.number - 1]].name
            task = BkdJob(job.plan, places[stage], chosen, samples, recipe)
            return run(task, master, opened, found, watch)

        _run_all(jobs, attempt, out, total, quiet=format is Format.json)
        rows = [(job, results.finished(out, job.name) or []) for job in jobs]
    table = out / DISTILLED
    _save(table, space, rows, f"{teacher} {master.hash[:16]}", f"{data} {opened.hash[:16]}")
    count = sum(len(found) for _, found in rows)
    if format is Format.json:
        emit({"quality": str(table), "rows": count, "jobs": [j.name for j in jobs]})
    else:
        print(f"{table}: fitted to {count:,} sub-stages of {len(jobs)} jobs")


def _hyperspace(spec: str) -> Space:
    space = api.load_space(spec)
    if not space.elastic:
        raise fault("wrong-kind", f"{spec} has no elastic stage")
    return space


def _jobs(space: Space) -> Iterator[Job]:
    from spacedsl.compiler.supernet import bkd_plans
    from spacedsl.compiler.supernet_schema import json_text
    from spacedsl_runtime.plan import read_plan

    plans = bkd_plans(space)
    for number, position in enumerate(space.elastic, 1):
        for choice, _ in enumerate(space.stages[position].choices):
            plan = read_plan(json.loads(json_text(next(plans))), "bkd")
            yield Job(number, choice, f"stage{number} {choice} {plan.stages[0].block}", plan)


def _parts(space: Space) -> list[Part]:
    """The stages up to the last elastic one, with their strides on the image."""
    from spacedsl_runtime.distill.teacher import Part

    found, stride = [], 1
    for stage in space.stages[: space.elastic[-1] + 1]:
        stride *= stage.stride
        found.append(Part(stage.name, stride, stage.elastic))
    return found


def _spread(resolutions: tuple[int, ...]) -> tuple[int, ...]:
    last = len(resolutions) - 1
    return tuple(dict.fromkeys(resolutions[i] for i in (0, (last + 1) // 2, last)))


def _run_all(jobs: list[Job], attempt: Attempt, out: Path, steps: int, *, quiet: bool) -> None:
    """Run the jobs that have not ended well, one after the other. Raises `SpaceError` in the end
    where some failed."""
    from spacedsl_runtime.distill.results import finished

    failed: dict[str, str] = {}
    with counting_bar("distilling", steps * len(jobs), quiet=quiet) as done:
        for i, job in enumerate(jobs):

            def watch(step: int, _: float, before: int = i * steps) -> None:
                done(before + step)

            if finished(out, job.name) is None:
                why = _run(job, attempt, out, watch)
                failed |= {job.name: why} if why else {}
            done((i + 1) * steps)
    if failed:
        listed = "; ".join(f"{name}: {why}" for name, why in failed.items())
        help = "the others are done; --resume tries these again"
        raise fault("job-failed", f"{len(failed)} of {len(jobs)} jobs failed: {listed}", help)


def _run(job: Job, attempt: Attempt, out: Path, watch: Watch) -> str:
    """Run a job, again where it fails; why it failed in the end, or nothing."""
    from spacedsl_runtime.distill.results import save_failure, save_rows
    from spacedsl_runtime.errors import DivergedError

    why = ""
    for _ in range(ATTEMPTS):
        try:
            rows = attempt(job, watch)
        except (DivergedError, MemoryError, RuntimeError) as error:
            why = str(error) or type(error).__name__
            _warn(f"{job.name} failed: {why}")
            continue
        save_rows(out, job.name, [row.to_json() for row in rows])
        return ""
    save_failure(out, job.name, why)
    return why


def _save(
    path: Path, space: Space, rows: list[tuple[Job, list[dict[str, Any]]]], teacher: str, data: str
) -> None:
    from spacedsl.tables.distilled import distilled_table, substage_rows
    from spacedsl.tables.files import save_table

    files = [f for j, r in rows for f in substage_rows(space, j.number, j.choice, r)]
    table = distilled_table(
        space, files, teacher=teacher, nsr="teacher-variance", data=data, note="FP32 losses"
    )
    save_table(table, path)


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
