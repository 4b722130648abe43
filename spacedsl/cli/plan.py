"""spacedsl plan: what the steps from a hyperspace to deployed models will cost, beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, Device
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.watch import Terminal
from spacedsl.flows.distill_jobs import SAMPLES, Settings
from spacedsl.flows.execution import Execution
from spacedsl.flows.faults import need_training

if TYPE_CHECKING:
    from spacedsl.flows.estimate import Step


def plan(
    space: str = typer.Argument(..., metavar="PAGE", help="A hyperspace, or a space."),
    data: str = typer.Option(..., "--data", help="Data, as for `distill` and `train`."),
    teacher: str | None = typer.Option(
        None, "--teacher", help="A teacher, as for `distill`; without one, that is left out."
    ),
    target: str = typer.Option(
        "cpu", "--target", help="The device, whose rules say what has 8 bits."
    ),
    bkd_steps: int | None = typer.Option(None, "--bkd-steps", min=1, help="As `distill --steps`."),
    samples: int = typer.Option(SAMPLES, "--samples", min=1, help="As `distill --samples`."),
    jobs: int = typer.Option(1, "--jobs", min=1, help="As `distill --jobs`."),
    steps: int | None = typer.Option(None, "--steps", min=1, help="As `train --steps`."),
    qat_steps: int | None = typer.Option(
        None, "--qat-steps", min=1, help="As `train --qat --steps`."
    ),
    batch: int | None = typer.Option(None, "--batch", min=1, help="As `train --batch`."),
    threads: int | None = typer.Option(
        None, "--threads", min=1, max=1024, help="How many threads of the CPU to use."
    ),
    device: Device = DEVICE,
    format: Format = FORMAT,
) -> None:
    """Say beforehand what distill, evolve, train, train --qat and search will cost: steps, images,
    time measured on a few real batches, disk and memory."""
    from spacedsl.flows.estimate import estimate

    need_training()
    found = api.load_space(space)
    costs = estimate(
        found,
        data,
        api.load_target(target),
        teacher=teacher,
        distill=Settings(steps=bkd_steps, samples=samples),
        jobs=jobs,
        steps=steps,
        qat_steps=qat_steps,
        batch=batch,
        execution=Execution(device=device.value, threads=threads),
        watch=Terminal(quiet=format is Format.json),
    )
    if format is Format.json:
        emit({"space": found.name, "steps": [asdict(step) for step in costs]})
    else:
        print("\n".join(_lines(costs)))
        say_next(_then(space, found.kind, data, teacher, target))


def _then(page: str, kind: str, data: str, teacher: str | None, target: str) -> str:
    """The first of the steps."""
    if kind == "space":
        return command("train", page, "--data", data, "--out", "run")
    if teacher is None:
        return command("evolve", "--hyper", page, "--target", target, "--out", "found.space")
    imitated = ("--data", data, "--teacher", teacher, "--target", target)
    return command("distill", "--hyper", page, *imitated, "--out", "run")


LONG_S = 3600.0

SHORTER = "shorter: fewer --steps, --samples, block types; smaller images; a GPU"
"""What is said where a step takes longer."""


def _lines(costs: Sequence[Step]) -> Iterator[str]:
    yield f"{'':<12} {'time':>12} {'steps':>10} {'images':>14} {'disk':>11} {'memory':>11}"
    for cost in costs:
        took = "not measured" if cost.seconds is None else _duration(cost.seconds)
        yield (
            f"{cost.step:<12} {took:>12} {cost.steps:>10,} {cost.images:>14,} "
            f"{cost.disk_bytes / 1e6:>8,.1f} MB {cost.memory_bytes / 1e6:>8,.0f} MB"
        )
        if cost.note:
            yield f"{'':<12} {cost.note}"
    if any(cost.seconds is not None and cost.seconds > LONG_S for cost in costs):
        yield f"{'':<12} {SHORTER}"


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"
