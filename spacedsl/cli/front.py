"""The result of a search for subnets: a table, as JSON and in print, and a plot."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacedsl.cli.html import machine_said
from spacedsl.cli.progress import progress
from spacedsl.colours import COLOURS, GREY
from spacedsl.figures import duration
from spacedsl.files import write_atomic
from spacedsl.flows.deployment import Deployment, Valued
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.report.parts import Made, Report

FRONT, MEASURED, PLOT = "front.json", "measured.json", "front.png"
VERSION = 1


def write_front(
    out: Path, found: Sequence[Deployment], settings: Mapping[str, object]
) -> dict[str, Any]:
    """Write and return the table: models in the order of their limits, each with whether no other
    is as good on the test split and predicted to be faster, or better and as fast."""
    models = [asdict(d) | {"pareto": not any(_beats(o, d) for o in found)} for d in found]
    front = {"format": VERSION, "search": dict(settings), "models": models}
    write_atomic(out / FRONT, json.dumps(front, indent=1) + "\n")
    return front


def _beats(other: Deployment, one: Deployment) -> bool:
    fast, good = other.predicted_ms <= one.predicted_ms, other.top1 >= one.top1
    better = other.predicted_ms < one.predicted_ms or other.top1 > one.top1
    return fast and good and better


def measured(out: Path, front: Mapping[str, Any], target: Target, seconds: float) -> dict[str, Any]:
    """The table with latencies of the files on this machine, timed interleaved at batch 1 for about
    `seconds`; they are written beside it, since no two machines or moments give the same ones."""
    from spacedsl.hosts.host import HERE
    from spacedsl.hosts.measure import interleave
    from spacedsl.runtimes.table import runtime_of

    runtime, models = runtime_of(target), front["models"]
    runs = [HERE.open(runtime, out / model["file"], target.threads) for model in models]
    take = HERE.rounds("cpu" if target.threads == 1 else "wall")
    note = f"{len(runs)} files, at most about {duration(seconds)}"
    with progress(f"measuring on {target.name}", note) as show:
        timing = interleave(runs, seconds, take=take, progress=show)
    times = [timing.time_ms(i).to_json() for i in range(len(models))]
    named = {model["name"]: ms for model, ms in zip(models, times, strict=True)}
    content = {"format": VERSION, "steady": timing.steady, "latency_ms": named}
    write_atomic(out / MEASURED, json.dumps(content, indent=1) + "\n")
    timed = [m | {"measured_ms": ms["median"]} for m, ms in zip(models, times, strict=True)]
    return {**front, "models": timed, "steady": timing.steady}


def print_front(front: Mapping[str, Any]) -> None:
    """The table as text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    timed = "steady" in front
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("model")
    for name in ("limit ms", "predicted", *(["measured"] if timed else []), "MFLOPs", "INT8 top-1"):
        table.add_column(name, justify="right", no_wrap=True)
    for model in front["models"]:
        table.add_row(
            model["file"],
            f"{model['limit_ms']:g}",
            f"{model['predicted_ms']:.4g}",
            *([f"{model['measured_ms']:.4g}"] if timed else []),
            f"{model['flops'] / 1e6:.2f}",
            f"{model['top1']:.2%}",
        )
    Console(width=100).print(table)
    if timed and not front["steady"]:
        print("warning: this machine is too noisy for the measured figures")


def plot(
    out: Path,
    front: Mapping[str, Any],
    found: Sequence[Deployment],
    valued: Sequence[Valued],
    target: Target,
) -> str | None:
    """Draw accuracy against latency of all that was valued, with limits and intervals, and return
    the file's path; None without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    from spacedsl.runtimes.machine import this_machine

    timed = "steady" in front
    here = timed or target.measured
    machine = machine_said(this_machine()) if here else target.device
    key, said = ("measured_ms", "measured") if timed else ("predicted_ms", "predicted")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for i, one in enumerate(found):
        label = None if i else "latency limit"
        axes.axvline(one.limit_ms, color="0.5", linewidth=0.9, linestyle="--", label=label)
    axes.plot(
        [v.predicted_ms for v in valued], [100 * v.held_out_top1 for v in valued], ".",
        color=COLOURS[GREY], alpha=0.6, label="valued, on held-out images",
    )  # fmt: skip
    axes.plot(
        [d.predicted_ms for d in found], [100 * d.held_out_top1 for d in found], "o",
        color=COLOURS[0], fillstyle="none", label="chosen, on held-out images",
    )  # fmt: skip
    ms = [float(model[key]) for model in front["models"]]
    axes.errorbar(
        ms, [100 * d.top1 for d in found], _reaches(found), fmt="^", color=COLOURS[1],
        label=f"INT8 file on test images, {said} latency, 95 % interval",
    )  # fmt: skip
    axes.set_title(f"{target.name}: {machine}", fontsize=10, loc="left")
    axes.set_xlabel(f"INT8 latency on {target.name} [ms]")
    axes.set_ylabel("INT8 top-1 [%]")
    axes.grid(visible=True, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8, frameon=False)
    path = out / PLOT
    figure.savefig(path, dpi=150, metadata={"Software": None})
    return str(path)


def _reaches(found: Sequence[Deployment]) -> list[list[float]]:
    """How far intervals reach down and up from the accuracies, in points."""
    lows = [100 * (d.top1 - d.interval[0]) for d in found]
    return [lows, [100 * (d.interval[1] - d.top1) for d in found]]


def front_report(
    out: Path,
    front: Mapping[str, Any],
    space: Space,
    target: Target,
    found: Sequence[Deployment],
    valued: Sequence[Valued],
    made: Made,
) -> Report:
    """The same as a report, with the models' pages in `out`."""
    from spacedsl.report.search import Searched, search_report

    times = {m["name"]: m["measured_ms"] for m in front["models"] if "measured_ms" in m}
    pages = tuple((out / model.page).read_text(encoding="utf-8") for model in found)
    searched = Searched(space, target, tuple(found), tuple(valued), times, pages)
    return search_report(searched, made)
