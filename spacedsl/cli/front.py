"""The result of a search for subnets: a table, as JSON and in print, and a plot."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spacedsl.files import write_atomic
from spacedsl.ir.target import Target

FRONT, MEASURED, PLOT = "front.json", "measured.json", "front.png"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed subnet. Accuracies are INT8: `held_out_top1` chose it, `supernet_top1` is torch's
    and `top1` the file's on the `images` of the test split. Files are named in their folder."""

    name: str
    limit_ms: float
    predicted_ms: float
    resolution: int
    flops: int
    hash: str
    held_out_top1: float
    supernet_top1: float
    top1: float
    images: int
    page: str
    file: str
    weights: str


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
    timing = interleave(runs, seconds, take=take)
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


def plot(out: Path, front: Mapping[str, Any]) -> str | None:
    """Draw accuracy against latency, measured where it was, and return the file's path; None
    without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    timed = "steady" in front
    key, said = ("measured_ms", "measured") if timed else ("predicted_ms", "predicted")
    models = sorted(front["models"], key=lambda m: float(m[key]))
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([m[key] for m in models], [100 * m["top1"] for m in models], "o-")
    for model in models:
        axes.annotate(
            model["name"],
            (model[key], 100 * model["top1"]),
            textcoords="offset points",
            xytext=(4, -10),
            fontsize=7,
        )
    axes.set_xlabel(f"INT8 latency on {front['search']['target']}, {said} [ms]")
    axes.set_ylabel("INT8 top-1 on test images [%]")
    axes.grid(visible=True, alpha=0.3)
    path = out / PLOT
    figure.savefig(path, dpi=150, metadata={"Software": None})
    return str(path)
