"""spacedsl train: the weight-sharing supernet of a space, on data."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.runs import need_training, runtime_faults, training_bar
from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from spacedsl_runtime.train.evaluate import Score

EVALUATIONS = 10
"""How often a training evaluates by default."""

SAVE_STEPS = 500
"""A checkpoint is written at least this often by default."""


class Device(StrEnum):
    """Where to train."""

    cpu = "cpu"
    cuda = "cuda"


def train(
    space: str = typer.Argument(..., help="A space: a page, PAGE#ITEM, or a library name."),
    data: str = typer.Option(
        ..., "--data", help="digits, fashion-mnist[:DIR] or imagefolder:PATH."
    ),
    out: Path = typer.Option(..., "--out", help="The run directory."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Else the data's usual."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="Steps, instead of epochs."),
    batch: int | None = typer.Option(None, "--batch", min=1, help="Images a step, all processes."),
    lr: float | None = typer.Option(None, "--lr", min=0, help="Peak learning rate."),
    warmup: float | None = typer.Option(None, "--warmup", min=0, help="Warm-up in epochs."),
    weight_decay: float | None = typer.Option(None, "--weight-decay", min=0, help="On weights."),
    label_smoothing: float = typer.Option(0.1, "--label-smoothing", min=0, help="Of the labels."),
    clip: float = typer.Option(1.0, "--clip", min=0, help="Gradients are clipped to -CLIP..CLIP."),
    ema: float = typer.Option(0.0, "--ema", min=0, help="Decay of averaged weights; 0: none."),
    random_subnets: int = typer.Option(
        2, "--random-subnets", min=0, help="Random subnets a step, beside largest and smallest."
    ),
    distill: float = typer.Option(
        1.0, "--distill", min=0, max=1, help="Share of distillation in all but the largest's loss."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Of everything random."),
    evaluate_every: int | None = typer.Option(
        None, "--evaluate-every", min=1, help="Steps between evaluations (a tenth of the run)."
    ),
    save_every: int | None = typer.Option(
        None, "--save-every", min=1, help="Steps between checkpoints (an epoch, at most 500)."
    ),
    device: Device = typer.Option(Device.cpu, "--device", help="Where to train."),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="CPU threads."),
    workers: int = typer.Option(0, "--workers", min=0, max=256, help="Processes that read images."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    format: Format = FORMAT,
) -> None:
    """Train the supernet of a space: sandwich rule, in-place distillation. Several processes:
    `torchrun --nproc-per-node N -m spacedsl train ...`."""
    need_training()
    plan, name = _plan(space)
    with runtime_faults():
        from spacedsl_runtime.train.run import holds_run

        holds_run(out, resume)
        from spacedsl.compiler.integer_model import preprocess_for
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.train.batches import Normalise
        from spacedsl_runtime.train.loop import Job
        from spacedsl_runtime.train.loop import train as run
        from spacedsl_runtime.train.recipe import recipe_for, steps_per_epoch

        opened = open_data(data)
        recipe = recipe_for(
            opened,
            epochs=epochs,
            steps=steps,
            batch=batch,
            lr=lr,
            warmup_epochs=warmup,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            clip=clip,
            ema=ema,
            random_subnets=random_subnets,
            distill=distill,
            seed=seed,
        )
        usual = preprocess_for(opened.channels)
        job = Job(
            plan_json=plan,
            data=opened,
            recipe=recipe,
            normalise=Normalise(usual.mean, usual.std),
            folder=out,
            evaluate_every=evaluate_every or -(-recipe.steps // EVALUATIONS),
            save_every=save_every or min(SAVE_STEPS, steps_per_epoch(opened, recipe.batch)),
            device=device.value,
            workers=workers,
            threads=threads,
            command=("spacedsl", *sys.argv[1:]),
        )
        with training_bar(recipe.steps, quiet=format is Format.json) as (show, warn):
            scores = run(job, resume, show, warn)
    if not scores:  # not the process that evaluates
        return
    if format is Format.json:
        emit({"space": name, "steps": recipe.steps, "out": str(out), "subnets": _json(scores)})
    else:
        _print(scores, out)


def _plan(spec: str) -> tuple[dict[str, Any], str]:
    """The supernet's plan as the runtime reads it, and the space's name."""
    from spacedsl.compiler.supernet import supernet_plan
    from spacedsl.compiler.supernet_schema import json_text

    space = api.load_space(spec)
    if space.kind != "space":
        message = f"{spec} is a {space.kind}: it has no one supernet"
        raise fault("wrong-kind", message, "name a space of it, or find one with `spacedsl evolve`")
    plan: dict[str, Any] = json.loads(json_text(supernet_plan(space)))
    return plan, space.name


def _json(scores: tuple[Score, ...]) -> dict[str, Any]:
    return {score.name: score.to_json() for score in scores}


def _print(scores: tuple[Score, ...], out: Path) -> None:
    for score in scores:
        print(f"{score.name:<9} at {score.subnet.resolution:>3}: top-1 {score.top1:.2%}")
    print(f"{scores[0].images:,} images; batch norm re-calibrated; weights and metrics in {out}")
