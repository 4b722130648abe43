"""spacedsl distill: block-wise distillation of a hyperspace, to a quality table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, PRECISION, Device, Precision, precision_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DECODER, Decoding, tell
from spacedsl.cli.distillation import BATCH, EPOCHS, LSQ_EPOCHS, SAMPLES, Asked, Job, prepare
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.runs import counting_bar, warned
from spacedsl.cli.summary import LOG, Log, command, need_logs, say_next, took
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder
from spacedsl.flows.faults import need_training, runtime_faults
from spacedsl.flows.runs import check_same_space
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl.report.parts import Made, Report
    from spacedsl_runtime.distill.jobs import Opened, Outcome, Setting


class Executor(StrEnum):
    """Where jobs run."""

    serial = "serial"
    processes = "processes"
    ray = "ray"


FEATURES = "features"
"""In --out, until all jobs are done: the teacher's maps."""


class Nsr(StrEnum):
    """By whose variance the error is divided."""

    teacher = "teacher"
    authors = "authors"


class TeacherResolution(StrEnum):
    """Of the images of which the teacher's maps are imitated."""

    greatest = "greatest"
    own = "own"


def distill(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    data: str = typer.Option(..., "--data", help="Also photos:DIR; labels are not used."),
    teacher: str = typer.Option(
        ..., "--teacher", help="lite0, lite1, lite2, checkpoint:RUN or timm:NAME[:FILE]."
    ),
    out: Path = typer.Option(..., "--out", help="The run directory."),
    target: str = typer.Option("cpu", "--target", help="LSQ+ is for its 8-bit tensors."),
    fp32: bool = typer.Option(False, "--fp32", help="No LSQ+: losses in FP32."),
    epochs: int = typer.Option(EPOCHS, "--epochs", min=1, help="Of every job, in FP32."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="Of every job, not epochs."),
    lsq_epochs: int = typer.Option(LSQ_EPOCHS, "--lsq-epochs", min=1, help="LSQ+ after them."),
    lsq_steps: int | None = typer.Option(
        None, "--lsq-steps", min=1, help="Not epochs; else a fifth of --steps."
    ),
    batch: int = typer.Option(BATCH, "--batch", min=1, help="Images a step."),
    lr: float | None = typer.Option(None, "--lr", min=0, help="Else .005 at both ends, .01."),
    lsq_lr: float | None = typer.Option(
        None, "--lsq-lr", min=0, help="Else .0025 in the first stage, .00025."
    ),
    nsr: Nsr = typer.Option(
        Nsr.teacher, "--nsr", help="authors: divide by the student's variance."
    ),
    teacher_resolution: TeacherResolution = typer.Option(
        TeacherResolution.greatest,
        "--teacher-resolution",
        help="Imitate the teacher at the greatest resolution, or at each sub-stage's own.",
    ),
    samples: int = typer.Option(
        SAMPLES, "--samples", min=1, help="Sub-stages evaluated per window and resolution."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Of everything random."),
    executor: Executor | None = typer.Option(
        None, "--executor", help="Where jobs run; else processes where --jobs is more than 1."
    ),
    jobs: int | None = typer.Option(None, "--jobs", min=1, max=1024, help="Jobs at a time."),
    ray: str | None = typer.Option(None, "--ray", help="A Ray cluster's address, or local."),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="Of each process."),
    device: Device = DEVICE,
    precision: Precision | None = PRECISION,
    workers: int | None = typer.Option(
        None, "--workers", min=0, max=256, help="Processes that read images (as cores allow)."
    ),
    cache_gb: float = typer.Option(
        2.0, "--cache-gb", min=0, help="Keep up to so much of the teacher's maps in --out; 0: none."
    ),
    decoder: Decoding | None = DECODER,
    log: list[Log] = LOG,
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Distil every (stage, block type) of a hyperspace from a teacher, in FP32 and then with LSQ+,
    and fit a quality table for `evolve --quality` to the losses of their sub-stages."""
    from spacedsl.tables.distilled import fit_run
    from spacedsl.tables.files import DISTILLED, save_table

    need_training()
    check_folder(out)
    check_html(html, [hyper])
    logs, began = need_logs(log), time.monotonic()
    space = hyperspace(hyper)
    chosen = _executor(executor, jobs, ray)
    kept = (
        (out / FEATURES, int(cache_gb * 1e9)) if cache_gb and chosen is not Executor.ray else None
    )
    asked = Asked(
        data,
        teacher,
        None if fp32 else api.load_target(target),
        epochs=epochs,
        steps=steps,
        lsq_epochs=lsq_epochs,
        lsq_steps=lsq_steps,
        batch=batch,
        lr=lr,
        lsq_lr=lsq_lr,
        definition=nsr.value,
        teacher_resolution=teacher_resolution.value,
        samples=samples,
        seed=seed,
        precision=precision_of(precision, device, quantised=not fp32),
        cache=kept,
    )
    with runtime_faults():
        from spacedsl_runtime.train.run import holds_run

        if holds_run(out, resume):
            check_same_space(out, space)
        import torch

        from spacedsl_runtime.distill import results
        from spacedsl_runtime.distill.jobs import Setting, Sources, open_sources
        from spacedsl_runtime.train.batches import usual_workers

        per_process = threads or (None if chosen is Executor.serial else 1)
        if per_process is not None:
            torch.set_num_threads(per_process)
        opened = open_sources(
            Sources(data, teacher, seed, decoder and decoder.value), warned, device.value
        )
        tell(opened.data, quiet=format is Format.json)
        sources = Sources(data, teacher, seed, opened.data.decoder)
        usual = usual_workers(opened.data, device.value, jobs or 1)
        asked = replace(asked, workers=usual if workers is None else workers)
        todo, settings = prepare(space, asked, opened)
        about = {
            "command": ["spacedsl", *sys.argv[1:]],
            "data": data,
            "teacher": teacher,
            "target": asked.target and asked.target.name,
            "threads": torch.get_num_threads(),
        }
        hashes = opened.data.hash, opened.teacher.hash
        setting = Setting(sources, *hashes, per_process, device.value)
        away = None if chosen is Executor.serial else _away(chosen, jobs, ray, device)
        with results.held(out):
            results.begin(out, todo[0].task.plan.page, settings, about, resume, warned)
            run = _Run(todo, out, format is Format.json, logs)
            if away is None:
                run.here(opened)
            else:
                run.away(setting, away)
            if cache := todo[0].task.cache:
                cache.clear()
            path, table = out / DISTILLED, fit_run(out, space)
            save_table(table, path)
    evolve = ("evolve", "--hyper", hyper, "--target", target, "--quality", out)
    then = command(*evolve, "--out", "best.space")
    facts = (("data", data), ("teacher", teacher), ("sub-stages", f"{table.source.rows:,}"))
    made = made_by(*([asked.target] if asked.target else []), seed=seed)
    write_html(html, partial(_report, space, out, todo, facts, made), quiet=format is Format.json)
    _tell(path, table.source.rows, [job.name for job in todo], began, then, format)


def _report(
    space: Space, out: Path, jobs: Sequence[Job], facts: tuple[tuple[str, str], ...], made: Made
) -> Report:
    """What the run's folder holds, as a page."""
    from spacedsl.report.distill import Distilled, Losses, distill_report
    from spacedsl.report.ribbon import block_name
    from spacedsl_runtime.distill.results import finished, logged

    found = []
    for job in jobs:
        stage = space.stages[space.elastic[job.number - 1]]
        losses = tuple(row["loss"] for row in finished(out, job.name) or ())
        curve = tuple((line["step"], line["loss"]["largest"]) for line in logged(out, job.name))
        found.append(Losses(stage.name, block_name(stage.choices[job.choice]), losses, curve))
    page = (out / "resolved.space").read_text(encoding="utf-8")
    return distill_report(Distilled(space, tuple(found), facts, page), made)


def _tell(path: Path, rows: int, jobs: list[str], began: float, then: str, format: Format) -> None:
    if format is Format.json:
        emit({"quality": str(path), "rows": rows, "jobs": jobs, "next": then})
        return
    print(f"{path}: fitted to {rows:,} sub-stages of {len(jobs)} jobs in {took(began)}")
    say_next(then)


def hyperspace(spec: str) -> Space:
    """The space of a page, which has elastic stages. Raises `SpaceError`."""
    space = api.load_space(spec)
    if not space.elastic:
        raise fault("wrong-kind", f"{spec} has no elastic stage")
    return space


def _executor(asked: Executor | None, jobs: int | None, ray: str | None) -> Executor:
    if ray is not None and asked not in (None, Executor.ray):
        raise fault("bad-option", f"--ray with --executor {asked}", "say --executor ray")
    if asked is not None:
        return asked
    if ray is not None:
        return Executor.ray
    return Executor.processes if (jobs or 1) > 1 else Executor.serial


def _away(chosen: Executor, jobs: int | None, ray: str | None, device: Device) -> Any:
    from spacedsl.search.exact.executors import LOCAL, Processes, Ray

    if chosen is Executor.processes:
        return Processes(jobs or os.cpu_count() or 1)
    return Ray(ray or LOCAL, jobs, gpus=int(device is Device.cuda))


class _Run:
    """Runs the jobs that have not ended well. Raises `SpaceError` in the end where some failed."""

    def __init__(self, jobs: list[Job], out: Path, quiet: bool, logs: tuple[str, ...]) -> None:
        from spacedsl_runtime.distill.results import finished

        self.out, self.quiet, self.logs = out, quiet, logs
        self.missing = [job for job in jobs if finished(out, job.name) is None]
        self.count = len(jobs)
        self.of = sum(job.task.steps for job in jobs)
        self.done = self.of - sum(job.task.steps for job in self.missing)
        self.failed: dict[str, str] = {}

    def here(self, opened: Opened) -> None:
        """One after the other, in this process."""
        from spacedsl_runtime.distill.jobs import run_job

        with counting_bar("distilling", self.of, quiet=self.quiet) as show:
            for job in self.missing:

                def watch(step: int, _: Mapping[str, float]) -> None:
                    show(self.done + step)

                self.ended(job, run_job(opened, job.task, watch, warned))
                show(self.done)
        self.check()

    def away(self, setting: Setting, executor: Any) -> None:
        """In other processes."""
        from spacedsl.search.exact.executors import Died
        from spacedsl_runtime.distill.jobs import Outcome, run_away

        tasks = [job.task for job in self.missing]
        with counting_bar("distilling", self.of, quiet=self.quiet) as show:
            show(self.done)
            for index, found in executor.completed(run_away, setting, tasks):
                outcome = Outcome(failed=found.why) if isinstance(found, Died) else found
                for warning in outcome.warnings:
                    warned(warning)
                self.ended(self.missing[index], outcome)
                show(self.done)
        self.check()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Keep what a job came to."""
        from spacedsl_runtime.distill.results import save_failure, save_metrics, save_rows

        self.done += job.task.steps
        save_metrics(self.out, job.name, outcome.metrics, self.logs, warned)
        if outcome.failed:
            self.failed[job.name] = outcome.failed
            warned(f"{job.name}: {outcome.failed}")
            save_failure(self.out, job.name, outcome.failed)
        else:
            save_rows(self.out, job.name, [row.to_json() for row in outcome.rows])

    def check(self) -> None:
        """Raise `SpaceError` where jobs failed."""
        if self.failed:
            listed = "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items()))
            help = "the others are done; --resume tries these again"
            message = f"{len(self.failed)} of {self.count} jobs failed: {listed}"
            raise fault("job-failed", message, help)
