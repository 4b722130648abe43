"""Seconds of a distillation's jobs, from two steps of each kind."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from spacedsl_runtime.distill.jobs import Opened
from spacedsl_runtime.distill.loop import BkdJob, distill

STEPS = 2
"""Of each kind: the first one warms up, the second is timed."""


@dataclass(frozen=True)
class JobSeconds:
    """Of one step in FP32, of one with LSQ+, of the rest (quantisers, the teacher's maps for the
    table, a few sub-stages) and of `rows` sub-stages in it."""

    step: float
    lsq_step: float
    rest: float
    rows: int

    def of(self, job: BkdJob, rows: int) -> float:
        """Of a whole job with `rows` sub-stages."""
        lsq = job.lsq.steps * self.lsq_step if job.lsq else 0.0
        return job.recipe.steps * self.step + lsq + self.rest * max(1.0, rows / max(1, self.rows))


def time_job(job: BkdJob, opened: Opened) -> JobSeconds:
    """Seconds of the parts of a job, from two real steps and two sub-stages per window and
    resolution. Raises as `distill` does."""
    short = replace(
        job,
        samples=min(job.samples, STEPS),
        recipe=replace(job.recipe, steps=STEPS),
        lsq=job.lsq and replace(job.lsq, steps=STEPS),
    )
    marks: list[float] = []
    rows = distill(
        short,
        opened.teacher,
        opened.data,
        opened.unreadables,
        lambda *_: marks.append(time.perf_counter()),
        opened.device,
    )
    rest = time.perf_counter() - marks[-1]
    lsq_step = marks[-1] - marks[-2] if job.lsq else 0.0
    return JobSeconds(marks[1] - marks[0], lsq_step, rest, len(rows))
