"""spacedsl train: the weight-sharing supernet of a space, on data."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, PRECISION, Device, Precision, precision_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DATA, DECODER, Decoding, tell
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.runs import check_same_space, training_bar
from spacedsl.cli.summary import LOG, Log, command, need_logs, say_next, took
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder
from spacedsl.flows.faults import need_training, runtime_faults
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl.compiler.supernet import SupernetPlan
    from spacedsl.report.parts import Report
    from spacedsl_runtime.train.evaluate import Score

EVALUATIONS = 10
"""How often a training evaluates by default."""

SAVE_STEPS = 500
"""A checkpoint is written at least this often by default."""


class Divergence(StrEnum):
    """How in-place distillation measures a distance."""

    kl = "kl"
    alpha = "alpha"


def train(
    space: str = typer.Argument(..., help="A space: a page, PAGE#ITEM, or a library name."),
    data: str = DATA,
    out: Path = typer.Option(..., "--out", help="The run directory."),
    qat: bool = typer.Option(False, "--qat", help="LSQ+ from the FP32 training in --out."),
    target: str | None = typer.Option(None, "--target", help="Of --qat: its 8-bit tensors."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Else the data's usual."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="Steps, instead of epochs."),
    batch: int | None = typer.Option(None, "--batch", min=1, help="Images a step, all processes."),
    lr: float | None = typer.Option(
        None, "--lr", min=0, help="Peak learning rate; QAT: a tenth of the FP32 training's."
    ),
    quantiser_lr: float | None = typer.Option(
        None,
        "--quantiser-lr",
        min=0,
        max=0.5,
        help="Share by which QAT's scales move a step (1e-3).",
    ),
    warmup: float | None = typer.Option(None, "--warmup", min=0, help="Warm-up in epochs."),
    weight_decay: float | None = typer.Option(None, "--weight-decay", min=0, help="On weights."),
    label_smoothing: float | None = typer.Option(
        None, "--label-smoothing", min=0, help="Of the labels (0.1)."
    ),
    clip: float | None = typer.Option(
        None, "--clip", min=0, help="Gradients are clipped to -CLIP..CLIP (1)."
    ),
    ema: float | None = typer.Option(
        None, "--ema", min=0, help="Decay of averaged weights; 0: none (0)."
    ),
    random_subnets: int | None = typer.Option(
        None, "--random-subnets", min=0, help="Random subnets a step, beside the extremes (2)."
    ),
    distill: float | None = typer.Option(
        None, "--distill", min=0, max=1, help="Its share in the loss of all but the largest (1)."
    ),
    distill_loss: Divergence | None = typer.Option(
        None, "--distill-loss", help="KL (the default) or AlphaNet's adaptive alpha-divergence."
    ),
    holdout: int | None = typer.Option(
        None,
        "--holdout",
        min=0,
        help="Training images kept for `search` (a tenth, at most 10,000).",
    ),
    seed: int | None = typer.Option(None, "--seed", min=0, help="Of everything random (0)."),
    evaluate_every: int | None = typer.Option(
        None, "--evaluate-every", min=1, help="Steps between evaluations (a tenth of the run)."
    ),
    save_every: int | None = typer.Option(
        None, "--save-every", min=1, help="Steps between checkpoints (an epoch, at most 500)."
    ),
    micro_batch: int | None = typer.Option(
        None,
        "--micro-batch",
        min=0,
        help="Images at once, gradients added up; batch norms see these (0: the whole batch).",
    ),
    recompute: bool = typer.Option(
        False, "--recompute", help="Keep no activations within blocks: less memory, more time."
    ),
    device: Device = DEVICE,
    precision: Precision | None = PRECISION,
    deterministic: bool = typer.Option(
        True,
        "--deterministic/--no-deterministic",
        help="On CUDA: the same bytes each time on one kind of card.",
    ),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="CPU threads."),
    workers: int | None = typer.Option(
        None, "--workers", min=0, max=256, help="Processes that read images (as cores allow)."
    ),
    decoder: Decoding | None = DECODER,
    cache_gb: float = typer.Option(
        8.0, "--cache-gb", min=0, help="Keep up to so much of decoded test images (in TMPDIR)."
    ),
    log: list[Log] = LOG,
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Train the supernet of a space: sandwich rule, in-place distillation. Then --qat, with the
    FP32 training's settings unless said. Several processes: `torchrun --nproc-per-node N -m
    spacedsl train ...`."""
    need_training()
    check_folder(out)
    check_html(html, [space, *([target] if target else [])])
    if qat != (target is not None):
        raise fault("bad-option", "--qat and --target go together", "say both, or neither")
    logs, began, found = need_logs(log), time.monotonic(), _space(space)
    plan, name = _plan(found, target), found.name
    with runtime_faults():
        from spacedsl_runtime.train.quantise import (
            QAT_FOLDER,
            fp32_settings,
            scales_moved,
            settings_of,
        )
        from spacedsl_runtime.train.run import holds_run

        folder = out / QAT_FOLDER if qat else out
        before = fp32_settings(out) if qat else None
        begun = holds_run(folder, resume)
        if begun:
            check_same_space(folder, found)
        known = settings_of(folder, "run", "") if begun else before or {}
        from spacedsl.compiler.integer_model import preprocess_for
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.train.batches import Normalise
        from spacedsl_runtime.train.loop import Job
        from spacedsl_runtime.train.loop import train as run
        from spacedsl_runtime.train.recipe import (
            qat_recipe_for,
            recipe_for,
            steps_per_epoch,
            training_part,
        )

        opened = open_data(data, decoder.value if decoder else known.get("decoder"))
        given: dict[str, Any] = {
            "epochs": epochs,
            "steps": steps,
            "batch": batch,
            "lr": lr,
            "quantiser_lr": quantiser_lr,
            "warmup_epochs": warmup,
            "weight_decay": weight_decay,
            "label_smoothing": label_smoothing,
            "clip": clip,
            "ema": ema,
            "random_subnets": random_subnets,
            "distill": distill,
            "distill_loss": distill_loss and distill_loss.value,
            "micro_batch": micro_batch,
            "precision": precision_of(precision, device, quantised=qat),
            "holdout": holdout,
            "seed": seed,
        }
        made = recipe_for if before is None else partial(qat_recipe_for, fp32=before)
        recipe = made(opened, **given)
        per_epoch = steps_per_epoch(training_part(opened, recipe.holdout), recipe.batch)
        tell(opened, quiet=format is Format.json, holdout=recipe.holdout)
        usual = preprocess_for(opened.channels)
        job = Job(
            plan=plan,
            data=opened,
            recipe=recipe,
            normalise=Normalise(usual.mean, usual.std),
            folder=folder,
            evaluate_every=evaluate_every or -(-recipe.steps // EVALUATIONS),
            save_every=save_every or min(SAVE_STEPS, per_epoch),
            device=device.value,
            workers=workers,
            threads=threads,
            recompute=recompute,
            deterministic=deterministic,
            command=("spacedsl", *sys.argv[1:]),
            fp32=out if qat else None,
            logs=logs,
            kept_bytes=int(cache_gb * 1e9),
        )
        with training_bar(recipe.steps, quiet=format is Format.json) as (show, warn):
            scores = run(job, resume, show, warn)
        if not scores:  # not the process that evaluates
            return
        lost = _lost(scores, out) if qat else {}
        moved = scales_moved(folder) if qat else {}
    then = command("train", space, "--data", data, "--out", out, "--qat", "--target", "cpu")
    if qat:
        then = command("search", out, "--target", target, "--out", out / "models")
    quiet = format is Format.json
    if quiet:
        done = {"space": name, "steps": recipe.steps, "out": str(folder), "next": then}
        emit(done | _json(scores, lost, moved))
    else:
        _print(scores, lost, moved, folder)
        print(f"{recipe.steps:,} steps of {recipe.batch:,} images; this took {took(began)}")
    facts = (("data", data), ("steps", f"{recipe.steps:,} of {recipe.batch:,} images"))
    write_html(html, partial(_report, found, target, folder, scores, lost, facts), quiet=quiet)
    if not quiet:
        say_next(then)


def _json(
    scores: tuple[Score, ...], lost: dict[str, dict[str, float]], moved: dict[str, float]
) -> dict[str, Any]:
    subnets = {score.name: score.to_json() | lost.get(score.name, {}) for score in scores}
    return {"subnets": subnets, **({"scales_moved": moved} if moved else {})}


def _report(
    space: Space,
    target: str | None,
    folder: Path,
    scores: tuple[Score, ...],
    lost: Mapping[str, Mapping[str, float]],
    facts: tuple[tuple[str, str], ...],
) -> Report:
    """What a run's folder holds, as a page."""
    from spacedsl.report.train import Scored, Trained, train_report
    from spacedsl_runtime.train.run import read_metrics

    scored = tuple(
        Scored(s.name, s.subnet.resolution, s.top1, s.images, lost.get(s.name, {}).get("fp32_top1"))
        for s in scores
    )
    page = (folder / "resolved.space").read_text(encoding="utf-8")
    targets = [api.load_target(target)] if target else []
    named = targets[0].name if targets else ""
    trained = Trained(space, named, read_metrics(folder), scored, facts, page)
    return train_report(trained, made_by(*targets))


def _space(spec: str) -> Space:
    """The space of a page. Raises `SpaceError` for anything else."""
    space = api.load_space(spec)
    if space.kind != "space":
        message = f"{spec} is a {space.kind}: it has no one supernet"
        raise fault("wrong-kind", message, "name a space of it, or find one with `spacedsl evolve`")
    return space


def _plan(space: Space, target: str | None) -> SupernetPlan:
    from spacedsl.compiler.supernet import supernet_plan

    return supernet_plan(space, api.load_target(target) if target else None)


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


def change_in_points(lost: float) -> str:
    """What quantising did to an accuracy, in percentage points."""
    if abs(lost) < 0.005:
        return "nothing lost"
    return f"{'lost' if lost > 0 else 'gained'} {abs(lost):.2f} points"


def _print(
    scores: tuple[Score, ...],
    lost: dict[str, dict[str, float]],
    moved: dict[str, float],
    folder: Path,
) -> None:
    for score in scores:
        line = f"{score.name:<9} at {score.subnet.resolution:>3}: top-1 {score.top1:.2%}"
        if score.name in lost:
            points = lost[score.name]
            change = change_in_points(points["lost_points"])
            line += f" INT8, {points['fp32_top1']:.2%} FP32, {change}"
        print(line)
    print(f"{scores[0].images:,} images; batch norm re-calibrated; weights and metrics in {folder}")
    if moved:
        print(f"scales moved by {moved['median']:.2%}, at most {moved['largest']:.2%}")
