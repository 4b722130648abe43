"""spacedsl distill: block-wise distillation of a hyperspace, to a quality table."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, PRECISION, Device, Precision, execution_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DECODER, Decoding, tell
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.summary import LOG, Log, command, need_logs, say_next, took
from spacedsl.cli.watch import Terminal
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_folder
from spacedsl.flows.distill_jobs import BATCH, EPOCHS, LSQ_EPOCHS, SAMPLES, Settings
from spacedsl.flows.faults import need_training
from spacedsl.ir.space import Space
from spacedsl_runtime.distill.teachers import usages

if TYPE_CHECKING:
    from spacedsl.flows.distill import Distilled
    from spacedsl.report.parts import Report
    from spacedsl.search.exact.executors import Completing


class Executor(StrEnum):
    """Where jobs run."""

    serial = "serial"
    processes = "processes"
    ray = "ray"


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
    teacher: str = typer.Option(..., "--teacher", help=f"{usages()}."),
    out: Path = typer.Option(..., "--out", help="The run directory."),
    target: str = typer.Option(
        "cpu", "--target", help="The device, whose rules say what has 8 bits."
    ),
    fp32: bool = typer.Option(False, "--fp32", help="Measure losses in FP32, without LSQ+."),
    epochs: int = typer.Option(EPOCHS, "--epochs", min=1, help="Epochs of every job in FP32."),
    steps: int | None = typer.Option(
        None, "--steps", min=1, help="Steps of every job, instead of --epochs."
    ),
    lsq_epochs: int = typer.Option(
        LSQ_EPOCHS, "--lsq-epochs", min=1, help="Epochs with LSQ+ after them."
    ),
    lsq_steps: int | None = typer.Option(
        None,
        "--lsq-steps",
        min=1,
        help="Steps with LSQ+, instead of epochs; else a fifth of --steps.",
    ),
    batch: int = typer.Option(BATCH, "--batch", min=1, help="Images in a step."),
    lr: float | None = typer.Option(
        None,
        "--lr",
        min=0,
        help="Learning rate; else .005 in the first and last stage, .01 between.",
    ),
    lsq_lr: float | None = typer.Option(
        None,
        "--lsq-lr",
        min=0,
        help="Learning rate with LSQ+; else .0025 in the first stage, .00025 after.",
    ),
    nsr: Nsr = typer.Option(
        Nsr.teacher,
        "--nsr",
        help="Whose variance a loss is divided by; authors: the student's, as their code does.",
    ),
    teacher_resolution: TeacherResolution = typer.Option(
        TeacherResolution.greatest,
        "--teacher-resolution",
        help="Imitate the teacher at the greatest resolution, or at each sub-stage's own.",
    ),
    samples: int = typer.Option(
        SAMPLES, "--samples", min=1, help="Sub-stages evaluated per window and resolution."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="The seed of all that is random."),
    executor: Executor | None = typer.Option(
        None, "--executor", help="Where jobs run; else processes where --jobs is more than 1."
    ),
    jobs: int | None = typer.Option(None, "--jobs", min=1, max=1024, help="Jobs at a time."),
    ray: str | None = typer.Option(None, "--ray", help="A Ray cluster's address, or local."),
    threads: int | None = typer.Option(
        None, "--threads", min=1, max=1024, help="CPU threads of each process."
    ),
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
    from spacedsl.flows.distill import distill as flow

    need_training()
    check_folder(out)
    check_html(html, [hyper])
    logs, began, quiet = need_logs(log), time.monotonic(), format is Format.json
    space = _hyperspace(hyper)
    chosen = _executor(executor, jobs, ray)
    found = flow(
        space,
        data,
        teacher,
        out,
        target=None if fp32 else api.load_target(target),
        settings=Settings(
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
            precision=None if precision is None else precision.value,
        ),
        execution=execution_of(device, threads, workers, decoder, logs),
        executor=_away(chosen, jobs, ray, device),
        jobs=jobs or 1,
        kept_bytes=0 if chosen is Executor.ray else int(cache_gb * 1e9),
        resume=resume,
        on_data=lambda opened: tell(opened, quiet=quiet),
        watch=Terminal(quiet),
    )
    evolve = ("evolve", "--hyper", hyper, "--target", target, "--quality", out)
    then = command(*evolve, "--out", "best.space")
    facts = (("data", data), ("teacher", teacher), ("sub-stages", f"{found.rows:,}"))
    write_html(html, partial(_report, found, facts, seed), quiet=quiet)
    if quiet:
        jobs_done = [job.job for job in found.jobs]
        emit({"quality": str(found.quality), "rows": found.rows, "jobs": jobs_done, "next": then})
        return
    done = f"{counted(found.rows, 'sub-stage')} of {counted(len(found.jobs), 'job')}"
    print(f"{found.quality}: fitted to {done} in {took(began)}")
    say_next(then)


def _report(found: Distilled, facts: tuple[tuple[str, str], ...], seed: int) -> Report:
    """What the run's folder holds, as a page."""
    from spacedsl.report.distill import distill_report

    page = (found.folder / "resolved.space").read_text(encoding="utf-8")
    made = made_by(*([found.target] if found.target else []), seed=seed)
    return distill_report(found, facts, page, made)


def _hyperspace(spec: str) -> Space:
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


def _away(chosen: Executor, jobs: int | None, ray: str | None, device: Device) -> Completing | None:
    """What runs jobs in other processes; None where they run here."""
    from spacedsl.search.exact.executors import LOCAL, Processes, Ray

    if chosen is Executor.serial:
        return None
    if chosen is Executor.processes:
        return Processes(jobs or 0)
    return Ray(ray or LOCAL, jobs, gpus=int(device is Device.cuda))
