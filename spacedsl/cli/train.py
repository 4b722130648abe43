"""spacedsl train: the weight-sharing supernet of a space, on data."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, PRECISION, Device, Precision, execution_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DATA, DECODER, Decoding, tell
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.summary import LOG, Log, command, need_logs, say_next, took
from spacedsl.cli.watch import Terminal
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_folder
from spacedsl.flows.faults import need_training
from spacedsl.flows.train import Settings, Trained
from spacedsl.flows.train import train as flow
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl.report.parts import Report


class Divergence(StrEnum):
    """How in-place distillation measures a distance."""

    kl = "kl"
    alpha = "alpha"


def train(
    space: str = typer.Argument(..., help="A space: a page, PAGE#ITEM, or a library name."),
    data: str = DATA,
    out: Path = typer.Option(..., "--out", help="The run directory."),
    qat: bool = typer.Option(
        False, "--qat", help="Train in 8 bits (LSQ+), from the FP32 training in --out."
    ),
    target: str | None = typer.Option(
        None, "--target", help="With --qat: the device, whose rules say what has 8 bits."
    ),
    init: Path | None = typer.Option(
        None, "--init", help="A checkpoint whose weights the largest subnet begins with."
    ),
    epochs: int | None = typer.Option(
        None, "--epochs", min=1, help="Passes over the images; else as usual for the data."
    ),
    steps: int | None = typer.Option(
        None, "--steps", min=1, help="How many steps to train, instead of --epochs."
    ),
    batch: int | None = typer.Option(
        None, "--batch", min=1, help="Images in a step, of all processes."
    ),
    lr: float | None = typer.Option(
        None, "--lr", min=0, help="The greatest learning rate; with --qat a tenth of the FP32 one."
    ),
    quantiser_lr: float | None = typer.Option(
        None,
        "--quantiser-lr",
        min=0,
        max=0.5,
        help="With --qat: by what share scales move in a step (1e-3).",
    ),
    warmup: float | None = typer.Option(
        None, "--warmup", min=0, help="Epochs in which the learning rate rises to --lr."
    ),
    weight_decay: float | None = typer.Option(
        None, "--weight-decay", min=0, help="Weights shrink by this share of --lr in a step."
    ),
    label_smoothing: float | None = typer.Option(
        None,
        "--label-smoothing",
        min=0,
        help="The share of a label that goes to all classes (0.1).",
    ),
    clip: float | None = typer.Option(
        None, "--clip", min=0, help="Keep each gradient within -CLIP..CLIP (1)."
    ),
    ema: float | None = typer.Option(
        None, "--ema", min=0, help="Average weights over steps with this decay; 0: do not (0)."
    ),
    random_subnets: int | None = typer.Option(
        None, "--random-subnets", min=0, help="Random subnets a step, beside the extremes (2)."
    ),
    distill: float | None = typer.Option(
        None,
        "--distill",
        min=0,
        max=1,
        help="Share of the largest subnet's answers in what the others learn, else labels (1).",
    ),
    distill_warmup: float | None = typer.Option(
        None,
        "--distill-warmup",
        min=0,
        help="Epochs in which that share rises from 0, while the largest learns to teach.",
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
    seed: int | None = typer.Option(
        None, "--seed", min=0, help="The seed of all that is random (0)."
    ),
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
    threads: int | None = typer.Option(
        None, "--threads", min=1, max=1024, help="How many threads of the CPU to use."
    ),
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
    logs, began, quiet = need_logs(log), time.monotonic(), format is Format.json
    done = flow(
        _space(space),
        data,
        out,
        target=api.load_target(target) if target else None,
        init=init,
        settings=Settings(
            epochs=epochs,
            steps=steps,
            batch=batch,
            lr=lr,
            quantiser_lr=quantiser_lr,
            warmup_epochs=warmup,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            clip=clip,
            ema=ema,
            random_subnets=random_subnets,
            distill=distill,
            distill_warmup_epochs=distill_warmup,
            distill_loss=_divergence(distill_loss),
            micro_batch=micro_batch,
            precision=None if precision is None else precision.value,
            holdout=holdout,
            seed=seed,
        ),
        execution=execution_of(device, threads, workers, decoder, logs),
        recompute=recompute,
        deterministic=deterministic,
        evaluate_every=evaluate_every,
        save_every=save_every,
        kept_bytes=int(cache_gb * 1e9),
        resume=resume,
        on_data=lambda opened, holdout: tell(opened, quiet=quiet, holdout=holdout),
        watch=Terminal(quiet),
    )
    if not done.scores:  # not the process that evaluates
        return
    then = command("train", space, "--data", data, "--out", out, "--qat", "--target", "cpu")
    if qat:
        then = command("search", out, "--target", target, "--out", out / "models")
    if quiet:
        run = {
            "space": done.space.name,
            "steps": done.steps,
            "out": str(done.folder),
            "next": then,
        }
        emit(run | _json(done))
    else:
        _print(done)
        images = counted(done.batch, "image")
        print(f"{counted(done.steps, 'step')} of {images}; this took {took(began)}")
    write_html(html, partial(_report, done, data), quiet=quiet)
    if not quiet:
        say_next(then)


def _json(done: Trained) -> dict[str, Any]:
    subnets = {s.name: {**s.to_json(), **done.lost.get(s.name, {})} for s in done.scores}
    return {"subnets": subnets, **({"scales_moved": dict(done.moved)} if done.moved else {})}


def _report(done: Trained, data: str) -> Report:
    """What a run's folder holds, as a page."""
    from spacedsl.report.train import train_report
    from spacedsl_runtime.train.run import read_metrics

    page = (done.folder / "resolved.space").read_text(encoding="utf-8")
    steps = f"{done.steps:,}, of {counted(done.batch, 'image')} each"
    facts = (("data", data), ("steps", steps))
    targets = [done.target] if done.target else []
    return train_report(done, read_metrics(done.folder), facts, page, made_by(*targets))


def _space(spec: str) -> Space:
    """The space of a page. Raises `SpaceError` for anything else."""
    space = api.load_space(spec)
    if space.kind != "space":
        message = f"{spec} is a {space.kind}: it has no one supernet"
        raise fault("wrong-kind", message, "name a space of it, or find one with `spacedsl evolve`")
    return space


def _divergence(asked: Divergence | None) -> Literal["kl", "alpha"] | None:
    return None if asked is None else "kl" if asked is Divergence.kl else "alpha"


def change_in_points(lost: float) -> str:
    """What quantising did to an accuracy, in percentage points."""
    if abs(lost) < 0.005:
        return "nothing lost"
    return f"{'lost' if lost > 0 else 'gained'} {abs(lost):.2f} points"


def _print(done: Trained) -> None:
    for score in done.scores:
        line = f"{score.name:<9} at {score.subnet.resolution:>3}: top-1 {score.top1:.2%}"
        if score.name in done.lost:
            points = done.lost[score.name]
            change = change_in_points(points["lost_points"])
            line += f" INT8, {points['fp32_top1']:.2%} FP32, {change}"
        print(line)
    images = f"{done.scores[0].images:,} test images"
    print(f"measured on {images}; weights and metrics are in {done.folder}")
    if done.moved:
        median, largest = done.moved["median"], done.moved["largest"]
        print(f"training moved the scales of 8 bits by {median:.2%}, the most by {largest:.2%}")
