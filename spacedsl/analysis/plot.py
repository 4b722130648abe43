"""An analysis as pictures. Needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.measured import Figure, Row
from spacedsl.analysis.report import SAID, TITLES
from spacedsl.colours import COLOURS, GREY
from spacedsl.figures import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 8.0, 96
SMALL, TEXT = 8, 9
"""Sizes of letters in points; none is smaller."""

INT8, FP32 = 0, 1
MARKS = ("o", "^", "s", "D")
"""By series, as its colour: a mark is told apart in black and white too."""

FASTER = "times as fast in INT8 as in FP32"
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200)
MOST_TICKS = 9


def as_png(analysis: Analysis, part: AnalysisPart) -> bytes:
    """The picture of one part, which has rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    rows = analysis.part(part)
    picture = Picture(figsize=(WIDTH, _height(part, rows)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.add_subplot()
    _DRAW[part](axes, rows, analysis.reference)
    axes.set_title(f"{TITLES[part]}\n{_device(analysis)}", fontsize=TEXT + 1, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL)
    handles, _ = axes.get_legend_handles_labels()
    picture.legend(
        loc="outside lower left", ncols=min(len(handles), 4), fontsize=SMALL, frameon=False
    )
    buffer = io.BytesIO()
    picture.savefig(
        buffer, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True}
    )
    return buffer.getvalue()


def _height(part: AnalysisPart, rows: Sequence[Row]) -> float:
    match part:
        case AnalysisPart.channels:
            return 4.4
        case AnalysisPart.models:
            return 1.6 + 0.27 * len(rows)
        case _:
            return 1.8 + 0.13 * len(rows) + 0.12 * len({row.case.name for row in rows})


def _device(analysis: Analysis) -> str:
    """The target and the machine that was measured, which figures are of."""
    said, target = analysis.description, analysis.target
    if "machine" not in said:
        return f"{target.name}: {target.device}, by its latency model"
    machine = said["machine"]
    features = " ".join(machine["features"] or ["features not known"])
    threads = counted(said["threads"], "thread")
    return (
        f"{target.name} on {machine['cpu']} ({features}), "
        f"{said['runtime']} {said['version']}, {threads}"
    )


def _figures(axes: Axes, rows: Sequence[Row], usual: float | None) -> None:
    """Speed-ups (or, of a table, multiply-accumulates per time) by name: a mark per shape."""
    names = list(dict.fromkeys(row.case.name for row in rows))
    shapes = list(dict.fromkeys((row.case.channels, row.case.size) for row in rows))
    table = all(row.status == "table" for row in rows)
    step = 0.8 / len(shapes)
    for i, shape in enumerate(shapes):
        own = [row for row in rows if (row.case.channels, row.case.size) == shape]
        at = {r.case.name: names.index(r.case.name) - 0.4 + step * (i + 0.5) for r in own}
        found = [(at[r.case.name], _value(r, table), r.status == "noisy") for r in own]
        label = f"{shape[0]} channels at {shape[1]} px"
        _marks(axes, [(y, n, noisy) for y, n, noisy in found if n is not None], i, label)
    for place, name in enumerate(names):
        if words := _words([row for row in rows if row.case.name == name], table):
            axes.annotate(
                words, (0.01, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=SMALL, color="0.35",
            )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks([place - 0.5 for place in range(1, len(names))], minor=True)
    axes.grid(visible=True, axis="y", which="minor", color="0.9", linewidth=0.8)
    axes.tick_params(axis="y", which="both", length=0)
    if table:
        axes.set_xlim(left=0)
        axes.set_xlabel("million multiply-accumulates per ms in INT8", fontsize=TEXT)
        axes.grid(visible=True, axis="x", color="0.9")
        return
    _ratios(axes, "x", [n for row in rows if (n := row.speedup)])
    _lines(axes.axvline, usual)
    if any(row.status == "noisy" and row.speedup for row in rows):
        axes.plot([], [], "o", color=COLOURS[GREY], fillstyle="none", label="empty: noisy")


def _value(row: Row, table: bool) -> Figure | None:
    return Figure(row.mmacs_per_ms) if table else row.speedup


def _words(rows: Sequence[Row], table: bool) -> str:
    """What is said of shapes that have no number: once, where it holds for all of them."""
    silent = [row for row in rows if not table and row.speedup is None]
    said = list(dict.fromkeys(SAID[row.status] for row in silent))
    if not said:
        return ""
    where = (
        "" if len(silent) == len(rows) and len(said) == 1 else f" ({counted(len(silent), 'shape')})"
    )
    return f"{' or '.join(said)}{where}"


def _marks(
    axes: Axes, found: Sequence[tuple[float, Figure, bool]], series: int, label: str
) -> None:
    """The marks of a series at their heights, with intervals; noisy ones are empty."""
    colour, mark = COLOURS[series % GREY], MARKS[series % len(MARKS)]
    for y, number, _ in found:
        if number.low is not None and number.high is not None:
            axes.plot([number.low, number.high], [y, y], color=colour, linewidth=1.2)
    for noisy, style in ((False, "full"), (True, "none")):
        own = [(number.value, y) for y, number, empty in found if empty is noisy]
        axes.plot(
            [x for x, _ in own], [y for _, y in own], mark, color=colour, fillstyle=style,
            markersize=5, label=None if noisy else label,
        )  # fmt: skip


def _lines(draw: Callable[..., object], usual: float | None) -> None:
    """Where INT8 is as fast as FP32, and the usual gain."""
    draw(1, color="black", linewidth=0.9, zorder=1.5, label="as fast as FP32")
    if usual is not None:
        label = f"usual gain, {usual:.2f}"
        draw(usual, color="0.4", linewidth=0.9, linestyle=":", zorder=1.5, label=label)


def _ratios(axes: Axes, axis: Literal["x", "y"], found: Sequence[Figure]) -> None:
    """An axis of ratios, on which twice as fast is as far from 1 as half as fast."""
    ends = [v for n in found for v in (n.value, n.low, n.high) if v is not None]
    low, high = min([1.0, *ends]) / 1.06, max([1.0, *ends]) * 1.06
    ticks = list(_round(low, high))
    if axis == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(FASTER, fontsize=TEXT)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_ylabel(FASTER, fontsize=TEXT)
    getattr(axes, f"{axis}axis").minorticks_off()
    axes.grid(visible=True, axis=axis, color="0.9")


def _round(low: float, high: float) -> Iterator[float]:
    """Ticks within an axis, the odd ones left out where there are too many; 1 always stays."""
    found = [tick for tick in TICKS if low <= tick <= high]
    if len(found) > MOST_TICKS:
        found = [tick for tick in found if tick not in (0.7, 0.8, 0.9, 1.1, 1.2)]
    yield from found


def _channels(axes: Axes, rows: Sequence[Row], usual: float | None) -> None:
    known = [(row.case.channels, row.speedup) for row in rows if row.speedup is not None]
    for channels, found in known:
        if found.low is not None and found.high is not None:
            axes.plot([channels] * 2, [found.low, found.high], color=COLOURS[INT8], linewidth=1.2)
    values = [found.value for _, found in known]
    axes.plot(
        [channels for channels, _ in known], values, "o-", color=COLOURS[INT8], markersize=5,
        linewidth=1, label="1x1 convolution",
    )  # fmt: skip
    ticks = [row.case.channels for row in rows]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.set_xlabel(f"channels in and out, at {rows[0].case.size} px", fontsize=TEXT)
    _ratios(axes, "y", [found for _, found in known])
    _lines(axes.axhline, usual)


def _models(axes: Axes, rows: Sequence[Row], _: float | None) -> None:
    """INT8 and FP32 times of each model, with a line between them, and how much faster it is."""
    ordered = sorted(rows, key=lambda row: row.int8_ms.value)
    for y, row in enumerate(ordered):
        if row.fp32_ms is not None:
            axes.plot([row.int8_ms.value, row.fp32_ms.value], [y, y], color="0.8", linewidth=3)
        if row.speedup is not None:
            noisy = "" if row.status == "known" else f" {SAID[row.status]}"
            axes.annotate(
                f"{row.speedup.value:.2f}x{noisy}", (1.01, y), va="center", fontsize=SMALL,
                xycoords=("axes fraction", "data"),
            )  # fmt: skip
    times: dict[str, list[Figure | None]] = {
        "INT8": [row.int8_ms for row in ordered],
        "FP32": [row.fp32_ms for row in ordered],
    }
    for series, (name, found) in enumerate(times.items()):
        at = [(y, number, False) for y, number in enumerate(found) if number is not None]
        _marks(axes, at, series, name)
    axes.set_yticks(range(len(ordered)), [row.case.name for row in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    ends = [n.value for found in times.values() for n in found if n is not None]
    axes.set_xscale("log")
    axes.set_xlim(min(ends) / 1.15, max(ends) * 1.15)
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if _within(tick, ends)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.grid(visible=True, axis="x", color="0.9")
    axes.set_xlabel("ms, on an axis of ratios; on the right: times as fast in INT8", fontsize=TEXT)


def _within(tick: float, ends: Sequence[float]) -> bool:
    return min(ends) / 1.15 <= tick <= max(ends) * 1.15


_DRAW: dict[AnalysisPart, Callable[[Axes, Sequence[Row], float | None], None]] = {
    AnalysisPart.operators: _figures,
    AnalysisPart.channels: _channels,
    AnalysisPart.blocks: _figures,
    AnalysisPart.models: _models,
}
