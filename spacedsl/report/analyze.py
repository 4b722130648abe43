"""What a device likes in 8 bits, as a report."""

from __future__ import annotations

from collections.abc import Sequence

from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.measured import TOLERANCE
from spacedsl.analysis.measured import Figure as Number
from spacedsl.analysis.measured import Row as Measured
from spacedsl.analysis.report import SAID, TITLES, VERDICTS
from spacedsl.analysis.tastes import MARGIN, Taste
from spacedsl.colours import GREY
from spacedsl.operators.size import Size
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Element, Facts, Figure, Made, Report, Section, Table, Words
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis

FASTER = Axis("times as fast in INT8 as in FP32", log=True)
RATE = Axis("million multiply-accumulates per ms in INT8", from_zero=True)
INT8, FP32 = 0, 1
VERDICT = {"likes": 2, "dislikes": 1, "indifferent": GREY}
"""Verdict -> its colour."""


def analyze_report(analysis: Analysis, made: Made) -> Report:
    """Likes and dislikes first, then every part with its picture and its figures."""
    parts = [part for part in AnalysisPart if analysis.part(part)]
    return Report(
        "analysis",
        f"What {analysis.target.name} likes in 8 bits",
        f"{analysis.target.device}. {_usual(analysis)}",
        (
            Section("Likes and dislikes", tuple(_tastes(analysis))),
            *(Section(TITLES[part], _part(analysis, part)) for part in parts),
            Section("Measured on", (Facts(_machine(analysis)),)),
        ),
        made,
    )


def _usual(analysis: Analysis) -> str:
    if analysis.reference is None:
        return "Only block types are known, from its latency model."
    return f"The usual gain of INT8 is {analysis.reference:.2f} times the speed of FP32."


def _lines(analysis: Analysis) -> tuple[tuple[float, str], ...]:
    usual = analysis.reference
    return ((1.0, "as fast as FP32"), *([(usual, f"usual gain, {usual:.2f}")] if usual else []))


def _tastes(analysis: Analysis) -> list[Element]:
    known = [taste for taste in analysis.tastes if taste.gain is not None]
    others = [taste for taste in analysis.tastes if taste.gain is None]
    measured = analysis.reference is not None
    found: list[Element] = []
    if known:
        axis = FASTER if measured else Axis("times the usual multiply-accumulates per ms", log=True)
        entries = tuple(
            Entry(said, VERDICT[verdict])
            for verdict, said in VERDICTS.items()
            if any(taste.verdict == verdict for taste in known)
        )
        lines = _lines(analysis) if measured else ((1.0, "usual"),)
        rows = Rows(axis, tuple(map(_taste, known)), entries, lines)
        of = "its 95 % interval" if measured else "the range over shapes"
        caption = (
            f"Geometric means over shapes; each line is {of}. Liked is what gains {MARGIN:g} times "
            f"the usual or more, disliked what gains {MARGIN:g} times less or is slower in INT8."
        )
        found.append(Figure("Likes and dislikes", _listed(known), rows, caption))
    if others:
        cells = tuple((t.name, VERDICTS[t.verdict], t.why) for t in others)
        found.append(Table("Without a number", ("", "verdict", "why"), cells, left=3))
    if analysis.unanswered:
        names = ", ".join(part.value for part in analysis.unanswered)
        words = f"Not known of a device that is not this machine: {names}, and FP32."
        found.append(Words((words,)))
    return found


def _taste(taste: Taste) -> Row:
    reach = (taste.low, taste.high) if taste.low is not None and taste.high is not None else None
    said = f"{taste.name}: {taste.gain:.2f} ({taste.low:.2f} to {taste.high:.2f}), {taste.why}"
    return Row(taste.name, (Mark(taste.gain, VERDICT[taste.verdict], said, reach),))


def _listed(found: Sequence[Taste]) -> str:
    return "; ".join(f"{taste.name} {taste.gain:.2f}, {VERDICTS[taste.verdict]}" for taste in found)


def _part(analysis: Analysis, part: AnalysisPart) -> tuple[Element, ...]:
    rows = analysis.part(part)
    return _PICTURE[part](analysis, rows), _table(part, rows)


def _figures(analysis: Analysis, rows: Sequence[Measured]) -> Figure:
    """Operators or block types: a mark per shape."""
    shapes = list(dict.fromkeys((row.case.channels, row.case.size) for row in rows))
    table = all(row.status == "table" for row in rows)
    names = dict.fromkeys(row.case.name for row in rows)
    drawn = tuple(
        Row(name, _marks([r for r in rows if r.case.name == name], shapes, table)) for name in names
    )
    entries = [Entry(f"{c} channels at {px} px", i) for i, (c, px) in enumerate(shapes)]
    noisy = any(row.status == "noisy" and row.speedup for row in rows)
    entries += [Entry("empty: noisy", GREY, "hollow")] if noisy else []
    axis, lines = (RATE, ()) if table else (FASTER, _lines(analysis))
    caption = (
        "" if table else "Lines are 95 % intervals. On the right of “as fast as FP32” INT8 gains."
    )
    if noisy:
        caption += f" Empty marks are known worse than to {TOLERANCE:.0%}."
    part = rows[0].case.part
    seen = f"{len(names)} rows with a mark for each shape; the table has all numbers."
    return Figure(TITLES[part], seen, Rows(axis, drawn, tuple(entries), lines), caption)


def _marks(
    rows: Sequence[Measured], shapes: list[tuple[int, Size]], table: bool
) -> tuple[Mark, ...]:
    """A mark per shape; only one where the same words hold for all."""
    marks = tuple(_mark(row, shapes, table) for row in rows)
    return marks[:1] if len({m.note for m in marks}) == 1 and marks[0].value is None else marks


def _mark(row: Measured, shapes: list[tuple[int, Size]], table: bool) -> Mark:
    colour = shapes.index((row.case.channels, row.case.size)) % GREY
    where = f"{row.case.name}, {row.case.channels} channels at {row.case.size} px"
    if table:
        return Mark(row.mmacs_per_ms, colour, f"{where}: {row.mmacs_per_ms:.0f} million per ms")
    if row.speedup is None:
        return Mark(None, colour, f"{where}: {SAID[row.status]}", note=SAID[row.status])
    said = f"{where}: {_interval(row.speedup)} times as fast"
    return Mark(row.speedup.value, colour, said, _range(row.speedup), row.status == "noisy")


def _range(number: Number) -> tuple[float, float] | None:
    if number.low is None or number.high is None:
        return None
    return number.low, number.high


def _interval(number: Number | None, digits: int = 2) -> str:
    if number is None:
        return ""
    reach = _range(number)
    between = f" ({reach[0]:.{digits}f} to {reach[1]:.{digits}f})" if reach else ""
    return f"{number.value:.{digits}f}{between}"


def _channels(analysis: Analysis, rows: Sequence[Measured]) -> Figure:
    points = tuple(
        Point(
            r.case.channels,
            r.speedup.value,
            f"{r.case.channels} channels: {_interval(r.speedup)} times as fast",
            y_range=_range(r.speedup),
        )
        for r in rows
        if r.speedup is not None
    )
    plot = Plot(
        Axis(f"channels in and out, at {rows[0].case.size} px", log=True),
        FASTER,
        (Series("1x1 convolution", points, INT8, joined=True),),
        levels=_lines(analysis),
    )
    seen = "; ".join(f"{point.x:g} channels: {point.y:.2f}" for point in points)
    return Figure(TITLES[AnalysisPart.channels], seen, plot, "Lines are 95 % intervals.")


def _models(_: Analysis, rows: Sequence[Measured]) -> Figure:
    drawn = tuple(map(_model, sorted(rows, key=lambda row: row.int8_ms.value)))
    entries = (Entry("INT8", INT8), Entry("FP32", FP32))
    seen = "; ".join(f"{row.name} {row.note}" for row in drawn)
    picture = Rows(
        Axis("ms (each step of the axis is a ratio)", log=True), drawn, entries, (), "joined"
    )
    caption = "On the right: how many times as fast INT8 is. Lines are 95 % intervals."
    return Figure(TITLES[AnalysisPart.models], seen, picture, caption)


def _model(row: Measured) -> Row:
    marks = [(INT8, "INT8", row.int8_ms)] + ([(FP32, "FP32", row.fp32_ms)] if row.fp32_ms else [])
    speed = f"{row.speedup.value:.2f}x" if row.speedup else ""
    note = speed if row.status == "known" else f"{speed} {SAID[row.status]}".strip()
    return Row(
        row.case.name,
        tuple(
            Mark(n.value, colour, f"{row.case.name}: {_interval(n, 3)} ms in {what}", _range(n))
            for colour, what, n in marks
        ),
        note,
    )


_PICTURE = {
    AnalysisPart.operators: _figures,
    AnalysisPart.channels: _channels,
    AnalysisPart.blocks: _figures,
    AnalysisPart.models: _models,
}


def _table(part: AnalysisPart, rows: Sequence[Measured]) -> Table:
    heads = ("name", "channels", "px", "INT8 ms", "FP32 ms", "times as fast", "MMAC/ms", "")
    cells = tuple(
        (
            row.case.name,
            str(row.case.channels),
            str(row.case.size),
            f"{row.int8_ms.value:.4f}",
            f"{row.fp32_ms.value:.4f}" if row.fp32_ms else "",
            _interval(row.speedup),
            f"{row.mmacs_per_ms:,.0f}" if row.case.mmacs >= 0.1 else "",
            row.coverage or SAID[row.status],
        )
        for row in rows
    )
    return Table(f"All figures: {part.value}", heads, cells, folded=True)


def _machine(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """What it was measured on, as far as it was."""
    said = analysis.description
    found = [("target", f"{analysis.target.name}: {analysis.target.device}")]
    if "machine" in said:
        machine = said["machine"]
        found += [
            ("CPU", f"{machine['cpu']} ({' '.join(machine['features'] or ['unknown'])})"),
            ("runtime", f"{said['runtime']} {said['version']}"),
            ("threads", str(said["threads"])),
            ("clock", "processor time" if said["clock"] == "cpu" else "wall time"),
            ("rounds", ", ".join(f"{n} of {part}" for part, n in said["rounds"].items())),
        ]
    return tuple(found)
