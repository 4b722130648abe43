"""Block-wise distillation of a hyperspace, to a quality table. Needs PyTorch, which is imported
when it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_folder
from spacedsl.flows.distill_jobs import USUAL, Job, Reading, Settings, prepare
from spacedsl.flows.execution import ON_CPU, Execution
from spacedsl.flows.faults import runtime_faults
from spacedsl.flows.runs import check_same_space
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.ir.target import Target
from spacedsl.search.exact.executors import Completing, Died
from spacedsl.tables.distilled import fit_run
from spacedsl.tables.files import DISTILLED, save_table

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data
    from spacedsl_runtime.distill.jobs import Opened, Outcome, Setting

FEATURES = "features"
"""In the folder, until all jobs are done: the teacher's maps."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The NSR losses of a stage's sub-stages that were drawn, of one block type: one `job`.
    `curve`: while it was trained, steps and the losses of its largest sub-stage."""

    job: str
    stage: str
    block: BlockChoice
    losses: tuple[float, ...]
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Distilled:
    """A distillation of a hyperspace in the run's `folder`: the losses of every job, and the
    `quality` table that is fitted to them."""

    space: Space
    folder: Path
    target: Target | None
    jobs: tuple[Losses, ...]
    quality: Path

    @property
    def rows(self) -> int:
        """How many sub-stages were evaluated."""
        return sum(len(job.losses) for job in self.jobs)

    def __repr__(self) -> str:
        return f"<distilled {self.space.name} in {self.folder}: {counted(self.rows, 'sub-stage')}>"


def distill(
    hyper: Space,
    data: str,
    teacher: str,
    out: Path,
    *,
    target: Target | None = None,
    settings: Settings = USUAL,
    execution: Execution = ON_CPU,
    executor: Completing | None = None,
    jobs: int = 1,
    kept_bytes: int = 2_000_000_000,
    resume: bool = False,
    on_data: Callable[[Data], None] = lambda data: None,
    watch: Watch = SILENT,
) -> Distilled:
    """Distil every (stage, block type) of a hyperspace from a teacher into the folder `out`, in
    FP32 and then, with a `target`, with LSQ+ for its 8-bit tensors; fit a quality table to the
    losses of their sub-stages. `executor`: where jobs run, `jobs` of them at a time (None: one
    after the other in this process). `kept_bytes` of the teacher's maps are kept in the folder
    meanwhile. `on_data` is told the data. Raises `SpaceError`."""
    if not hyper.elastic:
        raise fault("wrong-kind", f"{hyper.name} has no elastic stage")
    check_folder(out)
    with runtime_faults():
        from spacedsl_runtime.train.run import holds_run

        if holds_run(out, resume):
            check_same_space(out, hyper)
        import torch

        from spacedsl_runtime.distill import results
        from spacedsl_runtime.distill.jobs import Setting, Sources, open_sources
        from spacedsl_runtime.train.batches import usual_workers

        threads = execution.threads or (None if executor is None else 1)
        if threads is not None:
            torch.set_num_threads(threads)
        asked = Sources(data, teacher, settings.seed, execution.decoder)
        opened = open_sources(asked, watch.warn, execution.device)
        on_data(opened.data)
        usual = usual_workers(opened.data, execution.device, jobs)
        workers = usual if execution.workers is None else execution.workers
        reading = Reading((out / FEATURES, kept_bytes) if kept_bytes else None, workers)
        todo, known = prepare(hyper, target, settings, opened, reading)
        about = {
            "command": list(execution.command),
            "data": data,
            "teacher": teacher,
            "target": target and target.name,
            "threads": torch.get_num_threads(),
        }
        with results.held(out):
            results.begin(out, todo[0].task.plan.page, known, about, resume, watch.warn)
            run = _Run(todo, out, execution.logs, watch)
            if executor is None:
                run.here(opened)
            else:
                sources = Sources(data, teacher, settings.seed, opened.data.decoder)
                hashes = opened.data.hash, opened.teacher.hash
                run.away(Setting(sources, *hashes, threads, execution.device), executor)
            if cache := todo[0].task.cache:
                cache.clear()
            save_table(fit_run(out, hyper), out / DISTILLED)
        losses = tuple(_losses(hyper, out, job) for job in todo)
    return Distilled(hyper, out, target, losses, out / DISTILLED)


def _losses(space: Space, out: Path, job: Job) -> Losses:
    """Of a job that ended well."""
    from spacedsl_runtime.distill.results import finished, logged

    stage = space.stages[space.elastic[job.number - 1]]
    found = tuple(row["loss"] for row in finished(out, job.name) or ())
    curve = tuple((line["step"], line["loss"]["largest"]) for line in logged(out, job.name))
    return Losses(job.name, stage.name, stage.choices[job.choice], found, curve)


class _Run:
    """Runs the jobs that have not ended well. Raises `SpaceError` in the end where some failed."""

    def __init__(self, jobs: Sequence[Job], out: Path, logs: tuple[str, ...], watch: Watch) -> None:
        from spacedsl_runtime.distill.results import finished

        self.out, self.logs, self.watch = out, logs, watch
        self.missing = [job for job in jobs if finished(out, job.name) is None]
        self.count = len(jobs)
        self.of = sum(job.work for job in jobs)
        self.done = self.of - sum(job.work for job in self.missing)
        self.failed: dict[str, str] = {}

    def here(self, opened: Opened) -> None:
        """One after the other, in this process."""
        from spacedsl_runtime.distill.jobs import run_job

        with self.watch.counting("distilling", self.of, "steps") as show:
            show(self.done)
            for job in self.missing:

                def told(done: int) -> None:
                    show(self.done + done)

                self._ended(job, run_job(opened, job.task, told, self.watch.warn))
                show(self.done)
        self._check()

    def away(self, setting: Setting, executor: Completing) -> None:
        """In other processes."""
        from spacedsl_runtime.distill.jobs import Outcome, run_away

        tasks = [job.task for job in self.missing]
        with self.watch.counting("distilling", self.of, "steps") as show:
            show(self.done)
            for index, found in executor.completed(run_away, setting, tasks):
                outcome = Outcome(failed=found.why) if isinstance(found, Died) else found
                for warning in outcome.warnings:
                    self.watch.warn(warning)
                self._ended(self.missing[index], outcome)
                show(self.done)
        self._check()

    def _ended(self, job: Job, outcome: Outcome) -> None:
        """Keep what a job came to."""
        from spacedsl_runtime.distill.results import save_failure, save_metrics, save_rows

        self.done += job.work
        save_metrics(self.out, job.name, outcome.metrics, self.logs, self.watch.warn)
        if outcome.failed:
            self.failed[job.name] = outcome.failed
            self.watch.warn(f"{job.name}: {outcome.failed}")
            save_failure(self.out, job.name, outcome.failed)
        else:
            save_rows(self.out, job.name, [row.to_json() for row in outcome.rows])

    def _check(self) -> None:
        """Raise `SpaceError` where jobs failed."""
        if self.failed:
            listed = "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items()))
            help = "the others are done; --resume tries these again"
            message = f"{len(self.failed)} of {self.count} jobs failed: {listed}"
            raise fault("job-failed", message, help)
