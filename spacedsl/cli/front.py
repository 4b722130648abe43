"""The result of a search of a supernet, in print and as a plot."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spacedsl.cli.html import machine_said
from spacedsl.colours import COLOURS, GREY
from spacedsl.flows.deployment import Deployment, Searched

if TYPE_CHECKING:
    from spacedsl.report.parts import Made, Report

PLOT = "front.png"


def print_front(found: Searched) -> None:
    """The models as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    timed = found.measured
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("model")
    times = ("limit ms", "predicted ms", *(["measured ms"] if timed else []))
    for name in (*times, "MFLOPs", "INT8 top-1"):
        table.add_column(name, justify="right", no_wrap=True)
    for model in found.models:
        table.add_row(
            model.file,
            f"{model.limit_ms:g}",
            f"{model.predicted_ms:.4g}",
            *([f"{timed.median_ms[model.name]:.4g}"] if timed else []),
            f"{model.flops / 1e6:.2f}",
            f"{model.top1:.2%}",
        )
    Console(width=100).print(table)
    by_hash: dict[str, list[str]] = {}
    for model in found.models:
        by_hash.setdefault(model.hash, []).append(f"{model.limit_ms:g}")
    for limits in (limits for limits in by_hash.values() if len(limits) > 1):
        print(f"one network is the best that was found within {', '.join(limits)} ms")
    if timed and not timed.steady:
        print("warning: this machine is too noisy for the measured figures")


def plot(found: Searched) -> str | None:
    """Draw accuracy against latency of all that was valued, with limits and intervals, and return
    the file's path; None without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    from spacedsl.runtimes.machine import this_machine

    target, models = found.target, found.models
    here = found.measured or target.measured
    machine = machine_said(this_machine()) if here else target.device
    said = "measured" if found.measured else "predicted"
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for i, one in enumerate(models):
        label = None if i else "latency limit"
        axes.axvline(one.limit_ms, color="0.5", linewidth=0.9, linestyle="--", label=label)
    axes.plot(
        [v.predicted_ms for v in found.valued], [100 * v.held_out_top1 for v in found.valued], ".",
        color=COLOURS[GREY], alpha=0.6, label="valued, on held-out images",
    )  # fmt: skip
    axes.plot(
        [d.predicted_ms for d in models], [100 * d.held_out_top1 for d in models], "o",
        color=COLOURS[0], fillstyle="none", label="chosen, on held-out images",
    )  # fmt: skip
    axes.errorbar(
        [found.latency_ms(d) for d in models], [100 * d.top1 for d in models], _reaches(models),
        fmt="^", color=COLOURS[1],
        label=f"INT8 file on test images, {said} latency, 95 % interval",
    )  # fmt: skip
    axes.set_title(f"{target.name}: {machine}", fontsize=10, loc="left")
    axes.set_xlabel(f"INT8 latency on {target.name} [ms]")
    axes.set_ylabel("INT8 top-1 [%]")
    axes.grid(visible=True, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8, frameon=False)
    path = found.folder / PLOT
    figure.savefig(path, dpi=150, metadata={"Software": None})
    return str(path)


def _reaches(found: Sequence[Deployment]) -> list[list[float]]:
    """How far intervals reach down and up from the accuracies, in points."""
    lows = [100 * (d.top1 - d.interval[0]) for d in found]
    return [lows, [100 * (d.interval[1] - d.top1) for d in found]]


def front_report(found: Searched, made: Made) -> Report:
    """The same as a report, with the models' pages."""
    from spacedsl.report.search import search_report

    pages = tuple((found.folder / m.page).read_text(encoding="utf-8") for m in found.models)
    return search_report(found, pages, made)
