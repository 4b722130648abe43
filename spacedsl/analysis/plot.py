"""An analysis as pictures. Needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import Part
from spacedsl.analysis.measured import Row
from spacedsl.analysis.report import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI = 8.0, 4.2, 100
GREY, FP32, INT8 = "0.6", "tab:gray", "tab:blue"
SHADES = ("#9ecae1", "#4292c6", "#08519c", "#08306b")
HEADROOM = 1.3
"""How much higher the axis is than the highest bar: intervals of noisy figures may end above it."""

TICKS_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def as_png(analysis: Analysis, part: Part) -> bytes:
    """The picture of one part, which has rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = analysis.part(part)
    height = max(HEIGHT, 1.2 + 0.32 * len(rows)) if part is Part.models else HEIGHT
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _DRAW[part](axes, rows)
    if rows[0].speedup is not None and analysis.reference is not None and part is not Part.models:
        mean = analysis.reference
        axes.axhline(mean, color=GREY, linestyle=":", label=f"usual gain, {mean:.2f}")
        axes.legend(fontsize=8, ncols=2)
    axes.set_title(f"{TITLES[part]}: {analysis.target.name}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Speed-ups (or, of a table, multiply-accumulates per time) in groups by name."""
    names = list(dict.fromkeys(row.case.name for row in rows))
    shapes = list(dict.fromkeys((row.case.channels, row.case.size) for row in rows))
    table = all(row.status == "table" for row in rows)
    wide = 0.8 / len(shapes)
    for i, shape in enumerate(shapes):
        own = {r.case.name: r for r in rows if (r.case.channels, r.case.size) == shape}
        at = [names.index(name) + (i - (len(shapes) - 1) / 2) * wide for name in own]
        color, label = SHADES[i % len(SHADES)], f"{shape[0]} channels at {shape[1]} px"
        if table:
            axes.bar(at, [r.mmacs_per_ms for r in own.values()], wide, color=color, label=label)
            continue
        axes.bar(at, [_gain(r) for r in own.values()], wide, color=color, label=label)
        for x, row in zip(at, own.values(), strict=True):
            _bounds(axes, x, row)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=8)
    axes.margins(x=0.01)
    axes.set_ylim(0, HEADROOM * max(r.mmacs_per_ms if table else _gain(r) for r in rows))
    if table:
        axes.set_ylabel("million multiply-accumulates per ms, INT8")
    else:
        axes.set_ylabel("INT8 speed-up over FP32")
        axes.axhline(1, color="black", linewidth=0.8)
    axes.legend(fontsize=8, ncols=2)


def _gain(row: Row) -> float:
    return row.speedup.value if row.speedup else 0.0


def _bounds(axes: Axes, x: float, row: Row) -> None:
    """The interval, or a word where there is no speed-up."""
    found = row.speedup
    if found is None:
        words = {"free": "free", "int8-free": "free in INT8", "fp32-free": "free in FP32"}
        said = words.get(row.status, "noisy")
        axes.text(x, 0.03, said, rotation=90, ha="center", va="bottom", fontsize=6, color="0.35")
    elif found.low is not None and found.high is not None:
        color = "tab:red" if row.status == "noisy" else "black"
        axes.plot([x, x], [found.low, found.high], color=color, linewidth=0.9)


def _channels(axes: Axes, rows: Sequence[Row]) -> None:
    known = [(r.case.channels, r.speedup) for r in rows if r.speedup is not None]
    axes.plot(
        [c for c, _ in known], [s.value for _, s in known], "o-", color=INT8, label="conv 1x1"
    )
    for channels, found in known:
        if found.low is not None and found.high is not None:
            axes.plot([channels] * 2, [found.low, found.high], color="black", linewidth=0.9)
    ticks = [r.case.channels for r in rows]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(t) for t in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"channels in and out, at {rows[0].case.size} px")
    axes.set_ylabel("INT8 speed-up over FP32")


def _models(axes: Axes, rows: Sequence[Row]) -> None:
    names = [row.case.name for row in rows]
    at = list(range(len(rows)))[::-1]
    axes.barh([y + 0.2 for y in at], [_fp32(r) for r in rows], 0.38, color=FP32, label="FP32")
    axes.barh(
        [y - 0.2 for y in at], [r.int8_ms.value for r in rows], 0.38, color=INT8, label="INT8"
    )
    for y, row in zip(at, rows, strict=True):
        if row.speedup is not None:
            mark = "" if row.status == "known" else " noisy"
            ends = max(_fp32(row), row.int8_ms.value)
            axes.text(ends * 1.04, y, f"{row.speedup.value:.2f}x{mark}", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks(TICKS_MS, [f"{tick:g}" for tick in TICKS_MS])
    axes.minorticks_off()
    least = min(min(_fp32(r), r.int8_ms.value) for r in rows)
    axes.set_xlim(least / 1.6, max(max(_fp32(r), r.int8_ms.value) for r in rows) * 1.6)
    axes.set_yticks(at, names, fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel("ms")
    axes.legend(fontsize=8, loc="upper right")


def _fp32(row: Row) -> float:
    return row.fp32_ms.value if row.fp32_ms else 0.0


_DRAW: dict[Part, Callable[[Axes, Sequence[Row]], None]] = {
    Part.operators: _bars,
    Part.channels: _channels,
    Part.blocks: _bars,
    Part.models: _models,
}
