"""Seconds and memory of a distillation's jobs, from two steps of each kind on a few images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from spacedsl_runtime.distill.jobs import Opened
from spacedsl_runtime.distill.loop import BkdJob, distill
from spacedsl_runtime.measure.few import held, of_few

STEPS = 2
"""Of each kind: the first one warms up, the second is timed."""


@dataclass(frozen=True)
class JobCost:
    """Seconds of one step in FP32, of one with LSQ+, of a sub-stage in the table, and of the rest
    (quantisers, the teacher's maps for the table); bytes that a batch holds `more` than this
    process had to measure it."""

    step: float
    lsq_step: float
    row: float
    rest: float
    more: int

    def seconds(self, job: BkdJob) -> float:
        """Of a whole job."""
        lsq = job.lsq.steps * self.lsq_step if job.lsq else 0.0
        return job.recipe.steps * self.step + lsq + job.rows * self.row + self.rest


def time_job(job: BkdJob, opened: Opened) -> JobCost:
    """From two real steps and two sub-stages per window and resolution, on a few images where the
    device is a CPU. Raises as `distill` does."""
    return of_few(partial(_time_job, job, opened), job.recipe.batch, opened.device)


def _time_job(job: BkdJob, opened: Opened, images: int) -> JobCost:
    short = replace(
        job,
        samples=min(job.samples, STEPS),
        recipe=replace(job.recipe, steps=STEPS, batch=images),
        lsq=job.lsq and replace(job.lsq, steps=STEPS, batch=images),
        evaluated=2,
        images=min(images, job.images),
    )
    marks: list[float] = []
    sources = opened.teacher, opened.data, opened.unreadables
    with held(images) as maps:
        rows = distill(short, *sources, lambda *_: marks.append(time.perf_counter()), opened.device)
        ends = [(row.subnet.resolution, time.perf_counter()) for row in rows]
    again = [b - a for (size, a), (same, b) in pairwise(ends) if size == same]
    whole = ends[-1][1] - marks[-1]  # the first row of a resolution waits for the teacher's maps
    row = sum(again) / len(again) if again else whole / len(ends)
    rest = max(0.0, whole - row * len(ends))
    steps = job.recipe.batch / images
    evaluated = job.evaluated * job.images / (short.evaluated * short.images)
    return JobCost(
        step=steps * (marks[1] - marks[0]),
        lsq_step=steps * (marks[-1] - marks[-2]) if job.lsq else 0.0,
        row=evaluated * row,
        rest=evaluated * rest,
        more=maps.more(job.recipe.batch),
    )
