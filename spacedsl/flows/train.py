"""Train the supernet of a space, in FP32 and then with LSQ+. Needs PyTorch, which is imported when
it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spacedsl.compiler.integer_model import preprocess_for
from spacedsl.compiler.plans import need_logits
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder
from spacedsl.flows.execution import ON_CPU, Execution, usual_precision
from spacedsl.flows.faults import runtime_faults
from spacedsl.flows.runs import check_same_space
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data
    from spacedsl_runtime.train.evaluate import Score
    from spacedsl_runtime.train.loop import Reached
    from spacedsl_runtime.train.recipe import Precision

EVALUATIONS = 10
"""How often a training evaluates by default."""

SAVE_STEPS = 500
"""A checkpoint is written at least this often by default."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the weights. None: the data's usual, or with LSQ+ what the FP32 training had; of
    `precision` the device's usual. A learning rate is the highest of its schedule. `holdout` is how
    many training images are kept for the search. `micro_batch` is how many images are computed at
    once; 0 is the whole batch."""

    epochs: int | None = None
    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    quantiser_lr: float | None = None
    warmup_epochs: float | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    clip: float | None = None
    ema: float | None = None
    random_subnets: int | None = None
    distill: float | None = None
    distill_warmup_epochs: float | None = None
    distill_loss: Literal["kl", "alpha"] | None = None
    micro_batch: int | None = None
    precision: Precision | None = None
    holdout: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Trained:
    """What a training ended with: the run's `folder`, its `steps` of `batch` images, and the scores
    of some subnets (none in a process that does not evaluate). With LSQ+ also what quantising cost,
    by the subnet's name (`fp32_top1`, `lost_points`), and by what share the scales moved."""

    space: Space
    folder: Path
    target: Target | None
    steps: int
    batch: int
    scores: tuple[Score, ...]
    lost: Mapping[str, Mapping[str, float]]
    moved: Mapping[str, float]

    def __repr__(self) -> str:
        scores = ", ".join(f"{score.name} {score.top1:.1%}" for score in self.scores[:2])
        return f"<trained {self.space.name} in {self.folder}: {scores}>"


def train(
    space: Space,
    data: str,
    out: Path,
    *,
    target: Target | None = None,
    init: Path | None = None,
    settings: Settings = Settings(),
    execution: Execution = ON_CPU,
    recompute: bool = False,
    deterministic: bool = True,
    evaluate_every: int | None = None,
    save_every: int | None = None,
    kept_bytes: int = 8_000_000_000,
    resume: bool = False,
    on_data: Callable[[Data, int], None] = lambda data, holdout: None,
    watch: Watch = SILENT,
) -> Trained:
    """Train a space's supernet on data into the folder `out`: by the sandwich rule with in-place
    distillation. With a `target`, LSQ+ follows on the FP32 training in `out`. `init`: a checkpoint
    of the space's largest network, which begins with its weights. `evaluate_every` and
    `save_every` are in steps; None: as usual. `kept_bytes` of decoded images are kept. `on_data`
    is told the data and how many images are held out. Raises `SpaceError`."""
    if target is not None and init is not None:
        message = "--init is for the FP32 training, which LSQ+ goes on from"
        raise fault("bad-option", message, "leave it out")
    if space.kind != "space":
        message = f"{space.name} is a {space.kind}: it has no one supernet"
        raise fault("wrong-kind", message, "name a space of it, or find one with `spacedsl evolve`")
    need_logits(space, "`train`")
    with runtime_faults():
        check_folder(out)
        plan = supernet_plan(space, target)
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.train.batches import Normalise
        from spacedsl_runtime.train.initial import read_initial
        from spacedsl_runtime.train.loop import Job
        from spacedsl_runtime.train.loop import train as run
        from spacedsl_runtime.train.quantise import (
            QAT_FOLDER,
            fp32_settings,
            scales_moved,
            settings_of,
        )
        from spacedsl_runtime.train.recipe import (
            qat_recipe_for,
            recipe_for,
            steps_per_epoch,
            training_part,
        )
        from spacedsl_runtime.train.run import holds_run

        folder = out / QAT_FOLDER if target else out
        before = fp32_settings(out) if target else None
        begun = holds_run(folder, resume)
        if begun:
            check_same_space(folder, space)
        known = settings_of(folder, "run", "") if begun else before or {}
        opened = open_data(data, execution.decoder or known.get("decoder"))
        made = recipe_for if before is None else partial(qat_recipe_for, fp32=before)
        usual = usual_precision(execution.device, quantised=target is not None)
        said = asdict(settings) | {"precision": settings.precision or usual}
        if begun and settings.distill_warmup_epochs is None:
            said["distill_warmup"] = known.get("distill_warmup", 0)
        recipe = made(opened, **said)
        per_epoch = steps_per_epoch(training_part(opened, recipe.holdout), recipe.batch)
        on_data(opened, recipe.holdout)
        preprocess = preprocess_for(opened.channels)
        normalise = Normalise(preprocess.mean, preprocess.std)
        for_data = plan.for_data(opened.channels, opened.classes)
        job = Job(
            plan=plan,
            data=opened,
            recipe=recipe,
            normalise=normalise,
            folder=folder,
            evaluate_every=evaluate_every or -(-recipe.steps // EVALUATIONS),
            save_every=save_every or min(SAVE_STEPS, per_epoch),
            device=execution.device,
            workers=execution.workers,
            threads=execution.threads,
            recompute=recompute,
            deterministic=deterministic,
            command=execution.command,
            fp32=out if target else None,
            init=None if init is None else read_initial(init, for_data, normalise),
            logs=execution.logs,
            kept_bytes=kept_bytes,
        )
        with watch.counting("training", recipe.steps, "steps") as bar:

            def show(reached: Reached) -> None:
                scores = (f"{s.name} {s.top1:.1%}" for s in reached.scores[:2])
                speed = f"{reached.images_per_second:,.0f} images/s"
                bar(reached.step, f"loss {reached.loss:.3f}", *scores, speed)

            scores = run(job, resume, show, watch.warn)
        quantised = target is not None and bool(scores)
        lost = _lost(scores, out) if quantised else {}
        moved = scales_moved(folder) if quantised else {}
    return Trained(space, folder, target, recipe.steps, recipe.batch, scores, lost, moved)


def _lost(scores: tuple[Score, ...], fp32: Path) -> dict[str, dict[str, float]]:
    """What quantising cost, by name, of the subnets that the FP32 training evaluated too."""
    from spacedsl_runtime.train.quantise import fp32_scores

    before = fp32_scores(fp32)
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        top1 = before.get(score.words, {}).get("top1")
        if top1 is not None:
            found[score.name] = {"fp32_top1": top1, "lost_points": 100 * (top1 - score.top1)}
    return found
