"""What a distillation consists of: its jobs, and the settings that decide its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacedsl.flows.execution import usual_precision
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.operators.size import Size
from spacedsl.passes.taps import output_strides

if TYPE_CHECKING:
    from spacedsl.compiler.supernet import SupernetPlan
    from spacedsl_runtime.distill.jobs import Opened
    from spacedsl_runtime.distill.loop import BkdJob, TeacherResolution
    from spacedsl_runtime.distill.loss import Definition
    from spacedsl_runtime.distill.teacher import StageStride
    from spacedsl_runtime.train.recipe import Precision, Recipe

EPOCHS, LSQ_EPOCHS, BATCH, SAMPLES = 5, 1, 64, 100
EDGE_LR, LR = 0.005, 0.01
"""Learning rates of the first and the last elastic stage, and of the others."""
FIRST_LSQ_LR, LSQ_LR = 0.0025, 0.00025
"""In LSQ+ those of the first elastic stage, and of the others."""
WEIGHT_DECAY = 1e-4


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the losses, beside the hyperspace, the data, the teacher and the target. `steps`
    of every job take the place of `epochs`, and `lsq_steps` that of `lsq_epochs`. Rates that are
    None are as usual; so is the `precision`, by the device. `definition`: by whose variance the
    error is divided. `samples` sub-stages are evaluated per window and resolution."""

    epochs: int = EPOCHS
    steps: int | None = None
    lsq_epochs: int = LSQ_EPOCHS
    lsq_steps: int | None = None
    batch: int = BATCH
    lr: float | None = None
    lsq_lr: float | None = None
    definition: Definition = "teacher"
    teacher_resolution: TeacherResolution = "greatest"
    samples: int = SAMPLES
    seed: int = 0
    precision: Precision | None = None


USUAL = Settings()


@dataclass(frozen=True, slots=True)
class Reading:
    """What changes no result: `cache` is where the teacher's maps are kept, and how many bytes of
    them; `workers` read images for each job."""

    cache: tuple[Path, int] | None = None
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """Elastic stage `number` (from 1) with block type `choice` (from 0)."""

    number: int
    choice: int
    name: str
    task: BkdJob

    @property
    def work(self) -> int:
        """Steps, and sub-stages that are evaluated: one takes about as long as the other."""
        return self.task.steps + self.task.rows


def prepare(
    space: Space,
    target: Target | None,
    asked: Settings,
    opened: Opened,
    reading: Reading = Reading(),
) -> tuple[list[Job], dict[str, Any]]:
    """The jobs, with LSQ+ where there is a target, and the settings by which a run is known, plain
    JSON. Raises `TeacherError` where the teacher does not fit, `DataError` for data of less than a
    batch, `SpaceError` for a target that lacks an activation."""
    from spacedsl_runtime.distill.teacher import cut
    from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch

    places = cut(_parts(space), opened.teacher)
    per_epoch = steps_per_epoch(opened.data, asked.batch)
    steps = asked.steps or asked.epochs * per_epoch
    usual = asked.lsq_epochs * per_epoch if asked.steps is None else max(1, asked.steps // 5)
    lsq_steps = (asked.lsq_steps or usual) if target else 0
    resolutions = _spread(space.resolutions)
    precision = asked.precision or usual_precision(opened.device.type, quantised=bool(target))

    def recipe(count: int, lr: float) -> Recipe:
        return Recipe(count, asked.batch, lr, 0, WEIGHT_DECAY, seed=asked.seed, precision=precision)

    recipes = partial(recipe, steps), partial(recipe, lsq_steps) if lsq_steps else None
    jobs = list(_jobs(space, target, asked, reading, places, recipes, resolutions))
    tensors = _tensors(jobs)
    settings = {
        "hyperspace": jobs[0].task.plan.hash,
        "data": opened.data.hash,
        "decoder": opened.data.decoder,
        "teacher": opened.teacher.hash,
        "steps": steps,
        "lsq_steps": lsq_steps,
        "int8": tensors,
        "batch": asked.batch,
        "lr": asked.lr,
        "lsq_lr": asked.lsq_lr if tensors else None,
        "nsr": asked.definition,
        "teacher_resolution": asked.teacher_resolution,
        "samples": asked.samples,
        "seed": asked.seed,
        "precision": precision,
        "resolutions": list(resolutions),
    }
    return jobs, settings


def _tensors(jobs: Sequence[Job]) -> dict[str, Any] | None:
    """Which tensors are in 8 bits, as plans say it, without the target's name: two may agree."""
    rules = [job.task.plan.rules for job in jobs]
    found: dict[str, Any] = {"acts": {}}
    for one in rules:
        if one is None:
            return None
        said = one.model_dump(mode="json")
        found = {**said, "acts": found["acts"] | dict(said["acts"])}
    return {key: found[key] for key in sorted(found.keys() - {"target", "runtime"})}


def _jobs(
    space: Space,
    target: Target | None,
    asked: Settings,
    reading: Reading,
    places: Mapping[str, tuple[int, int]],
    recipes: tuple[Callable[[float], Recipe], Callable[[float], Recipe] | None],
    resolutions: tuple[Size, ...],
) -> Iterator[Job]:
    from spacedsl_runtime.distill.features import FeatureCache
    from spacedsl_runtime.distill.loop import BkdJob

    stages = tuple(sorted(set(places.values())))
    cache = FeatureCache(*reading.cache, stages) if reading.cache else None
    recipe, lsq = recipes
    for number, choice, plan in _plans(space, target):
        usual = EDGE_LR if number in (1, len(space.elastic)) else LR
        rate = usual if asked.lr is None else asked.lr
        usual = FIRST_LSQ_LR if number == 1 else LSQ_LR
        lsq_rate = usual if asked.lsq_lr is None else asked.lsq_lr
        task = BkdJob(
            plan,
            places[space.stages[space.elastic[number - 1]].name],
            resolutions,
            asked.samples,
            recipe(rate),
            lsq(lsq_rate) if lsq else None,
            asked.definition,
            asked.teacher_resolution,
            cache,
            reading.workers,
        )
        block = plan.stages[0].choices[0].block.name
        yield Job(number, choice, f"stage{number} {choice} {block}", task)


def _plans(space: Space, target: Target | None) -> Iterator[tuple[int, int, SupernetPlan]]:
    """Number of the elastic stage, of the block type, and the plan of both."""
    from spacedsl.compiler.supernet import bkd_plans

    plans = bkd_plans(space, target)
    for number, position in enumerate(space.elastic, 1):
        for choice, _ in enumerate(space.stages[position].choices):
            yield number, choice, next(plans)


def _parts(space: Space) -> list[StageStride]:
    """The stages up to the last elastic one, with their strides on the image."""
    from spacedsl_runtime.distill.teacher import StageStride

    stages = zip(space.stages[: space.elastic[-1] + 1], output_strides(space), strict=False)
    return [StageStride(s.name, n or 1, s.elastic) for s, n in stages if not s.level]


def _spread(resolutions: tuple[Size, ...]) -> tuple[Size, ...]:
    """Least, middle, greatest."""
    last = len(resolutions) - 1
    return tuple(dict.fromkeys(resolutions[i] for i in (0, (last + 1) // 2, last)))
