"""Jobs of a distillation as work for any process, on this machine or another: what is sent is
small, and each process opens data and teacher itself, once, and checks that they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from spacedsl.operators.size import Size
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data, Unreadables, unreadable_limit
from spacedsl_runtime.distill import loop
from spacedsl_runtime.distill.table import Row
from spacedsl_runtime.distill.teacher import Teacher, check_data
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.errors import DataError, DivergedError, TeacherError
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.device import device_of
from spacedsl_runtime.train.evaluate import Evaluation
from spacedsl_runtime.train.loop import LOG_STEPS

ATTEMPTS = 2

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """What a distillation learns from: `data`, `teacher` and `decoder` as on the command line."""

    data: str
    teacher: str
    seed: int
    decoder: str | None = None


@dataclass(frozen=True)
class Opened:
    """Data and teacher, which fit each other, in this process; the teacher is on `device`."""

    data: Data
    teacher: Teacher
    unreadables: Unreadables
    device: torch.device


def open_sources(sources: Sources, warn: Warn, device: str = "cpu") -> Opened:
    """Raises `DataError`, `TeacherError`, `CheckpointError`, `RecipeError` for a device that is not
    there."""
    data, here = open_data(sources.data, sources.decoder), device_of(device)
    unreadables = Unreadables(unreadable_limit(len(data.train.labels)), warn)

    def calibration(normalise: Normalise, resolution: Size) -> Iterable[Tensor]:
        return Evaluation(data, normalise, sources.seed, here, unreadables).calibration(resolution)

    teacher = open_teacher(sources.teacher, calibration, here)
    check_data(teacher, data)
    return Opened(data, teacher, unreadables, here)


@dataclass(frozen=True)
class Setting:
    """What the jobs of a distillation share; `data_hash` and `teacher_hash` are what every process
    must find. `threads` per process, None for torch's own choice; `device` is `cpu` or `cuda`."""

    sources: Sources
    data_hash: str
    teacher_hash: str
    threads: int | None
    device: str = "cpu"


@dataclass(frozen=True)
class Outcome:
    """The rows of a job, or why it failed; `metrics`, plain JSON, and `warnings` on the way."""

    rows: tuple[Row, ...] = ()
    failed: str = ""
    metrics: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


@lru_cache(1)
def _opened_here(setting: Setting) -> tuple[Opened, list[str]]:
    """Of a process that got its work from another one; and the warnings so far."""
    if setting.threads is not None:
        torch.set_num_threads(setting.threads)
    warnings: list[str] = []
    found = open_sources(setting.sources, warnings.append, setting.device)
    if found.data.hash != setting.data_hash:
        raise DataError(
            f"{setting.sources.data} holds other data in this process than at the start"
        )
    if found.teacher.hash != setting.teacher_hash:
        raise TeacherError(f"{setting.sources.teacher} is another teacher than at the start")
    return found, warnings


def run_away(setting: Setting, job: loop.BkdJob) -> Outcome:
    """A job in a process of its own."""
    opened, warnings = _opened_here(setting)
    outcome = run_job(opened, job, lambda done: None, warnings.append)
    said = tuple(warnings)
    warnings.clear()
    return replace(outcome, warnings=said)


def run_job(opened: Opened, job: loop.BkdJob, told: Callable[[int], None], warn: Warn) -> Outcome:
    """A job, again where it fails for a reason that may pass. `told` gets how many steps and
    evaluated sub-stages are done; one takes about as long as the other."""
    ends = (job.recipe.steps, job.steps)
    metrics: list[dict[str, Any]] = []

    def seen(step: int, loss: Mapping[str, float]) -> None:
        if step % LOG_STEPS == 0 or step in ends:
            metrics.append({"step": step, "loss": dict(loss)})
        told(step)

    why = ""
    for _ in range(ATTEMPTS):
        metrics.clear()
        try:
            rows: list[Row] = []
            sources = opened.teacher, opened.data, opened.unreadables
            for row in loop.distill(job, *sources, seen, opened.device):
                rows.append(row)
                told(job.steps + len(rows))
            return Outcome(tuple(rows), metrics=tuple(metrics))
        except DivergedError as error:  # it would diverge again
            why = str(error)
            break
        except (MemoryError, RuntimeError) as error:
            why = str(error) or type(error).__name__
            warn(f"{job.plan.name} failed: {why}")
    return Outcome(failed=why, metrics=tuple(metrics))
