"""An analysis as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.measured import TOLERANCE, Figure, Row
from spacedsl.analysis.tastes import MARGIN, Taste

TITLES = {
    AnalysisPart.operators: "Operators, between two 1x1 convolutions",
    AnalysisPart.channels: "1x1 convolutions against their channels",
    AnalysisPart.blocks: "Block types",
    AnalysisPart.models: "Whole models",
}

SAID = {
    "known": "",
    "table": "",
    "noisy": "noisy",
    "free": "takes no time",
    "int8-free": "takes no time in INT8",
    "fp32-free": "takes no time in FP32",
}

VERDICTS = {"likes": "likes", "dislikes": "dislikes", "indifferent": "takes as usual"}

FIGURES = ("int8_ms", "fp32_ms", "speedup")
COLUMNS = (
    "name", "channels", "size", "mmacs",
    *(f"{figure}{bound}" for figure in FIGURES for bound in ("", "_low", "_high")),
    "mmacs_per_ms", "status", "coverage",
)  # fmt: skip

TASTE_COLUMNS = ("part", "name", "verdict", "gain", "low", "high", "why", "reference")

DIGITS = 6


def plain(row: Row) -> dict[str, Any]:
    """A row as plain data, by column."""
    case = row.case
    found: dict[str, Any] = {
        "name": case.name,
        "channels": case.channels,
        "size": case.size,
        "mmacs": round(case.mmacs, DIGITS),
    }
    for name in FIGURES:
        figure: Figure | None = getattr(row, name)
        values = (figure.value, figure.low, figure.high) if figure else (None, None, None)
        for bound, value in zip(("", "_low", "_high"), values, strict=True):
            found[name + bound] = None if value is None else round(value, DIGITS)
    more = {"mmacs_per_ms": round(row.mmacs_per_ms, 1), "status": row.status}
    return {**found, **more, "coverage": row.coverage}


def as_csv(analysis: Analysis, part: AnalysisPart) -> str:
    """The rows of one part; an empty cell is what is not known."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(row) for row in analysis.part(part))
    return buffer.getvalue()


def tastes_csv(analysis: Analysis) -> str:
    """Likes and dislikes, and what gains are compared with."""
    found = [{**_plain_taste(t), "reference": analysis.reference or 1.0} for t in analysis.tastes]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, TASTE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in row.items()}
        for row in found
    )
    return buffer.getvalue()


def _plain_taste(taste: Taste) -> dict[str, Any]:
    return {**asdict(taste), "part": taste.part.value}


def as_json(analysis: Analysis) -> dict[str, Any]:
    """Everything, as plain data."""
    return {
        **analysis.description,
        "parts": {
            part.value: [plain(row) for row in analysis.part(part)]
            for part in AnalysisPart
            if analysis.part(part)
        },
        "reference_speedup": analysis.reference,
        "tastes": [_plain_taste(t) for t in analysis.tastes],
        "unanswered": [part.value for part in analysis.unanswered],
    }


def as_text(analysis: Analysis) -> str:
    """For people."""
    return "\n".join(_lines(analysis)) + "\n"


def _lines(analysis: Analysis) -> Iterator[str]:
    yield f"target {analysis.target.name}: {analysis.target.device}"
    if "machine" in analysis.description:
        machine = analysis.description["machine"]
        version = f"{analysis.target.runtime} {analysis.description['version']}"
        yield f"{machine['cpu']} ({' '.join(machine['features'] or ['unknown'])}), {version}"
    for part in AnalysisPart:
        rows = analysis.part(part)
        if rows:
            yield from ("", TITLES[part])
            yield from _table(rows)
    yield from ("", *_likes(analysis))
    if analysis.unanswered:
        names = ", ".join(part.value for part in analysis.unanswered)
        yield ""
        yield from _paragraph(f"not known of a device that is not this machine: {names}, and FP32")


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each; what no row has makes no column."""
    compared = any(row.fp32_ms for row in rows)
    against = f" {'FP32 ms':>8} {'speed-up':>21}" if compared else ""
    yield f"  {'':<20} {'at':>7} {'INT8 ms':>8}{against} MMAC/ms"
    for row in rows:
        case, fp32 = row.case, f"{row.fp32_ms.value:.4f}" if row.fp32_ms else ""
        of_models = case.part is AnalysisPart.models
        where = f"{case.size}px" if of_models else f"{case.channels}@{case.size}"
        known = case.mmacs >= 0.1 and row.int8_ms.value > 0
        rate = f"{row.mmacs_per_ms:.0f}" if known else ""
        against = f" {fp32:>8} {_speed_up(row):>21}" if compared else ""
        line = f"  {case.name:<20} {where:>7} {row.int8_ms.value:8.4f}{against} {rate:>7}"
        yield f"{line}  {row.coverage or ''}".rstrip()


def _speed_up(row: Row) -> str:
    if row.speedup is None:
        return SAID[row.status]
    value = "noisy" if row.status == "noisy" else f"{row.speedup.value:.2f}"
    return f"{value} ({row.speedup.low:.2f} to {row.speedup.high:.2f})"


def _likes(analysis: Analysis) -> Iterator[str]:
    if analysis.reference is not None:
        of = "whole models" if analysis.part(AnalysisPart.models) else "everything measured"
        yield from _paragraph(
            f"The usual gain, the geometric mean of {of}: {analysis.reference:.2f} times as fast."
        )
        yield from _paragraph(
            f"Liked is what gains {MARGIN:g} times that or takes no time, disliked what gains "
            f"{MARGIN:g} times less or is slower in INT8: geometric means over shapes, by their "
            f"95 % intervals. Speed-ups known worse than to {TOLERANCE:.0%} are noisy."
        )
    elif analysis.tastes:
        yield from _paragraph(
            f"Liked is what does {MARGIN:g} times the usual multiply-accumulates per time, "
            f"disliked what does {MARGIN:g} times less; usual is the mean of the block types at "
            "that shape."
        )
    for verdict, said in VERDICTS.items():
        found = [t for t in analysis.tastes if t.verdict == verdict]
        if found:
            yield f"{analysis.target.name} {said}"
            for taste in found:
                line = f"  {_taste(taste, analysis.reference)}"
                yield from textwrap.wrap(line, TERMINAL, subsequent_indent=" " * 27)


TERMINAL = 80
"""Of a terminal that no one has made wider, which would break a longer line within a word."""


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, TERMINAL)


def _taste(taste: Taste, reference: float | None) -> str:
    """Of a table the gain itself says why."""
    gain = "" if taste.gain is None else f"{taste.gain:5.2f} ({taste.low:.2f} to {taste.high:.2f})"
    return f"{taste.name:<24} {gain:<21} {'' if reference is None else taste.why}".rstrip()
