"""What a device likes and dislikes in 8 bits, read off its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, fsum, hypot, inf, log
from typing import Literal

from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.measured import Row

MARGIN = 1.15
"""Liked is what gains this many times the usual (whole models' mean); disliked, by as much less."""

USABLE = 1.5
ENOUGH = 0.85
"""Of the greatest gain of a 1x1 convolution: more channels than reach it bring little."""

Verdict = Literal["likes", "dislikes", "indifferent"]


@dataclass(frozen=True, slots=True)
class Taste:
    """An operator, block type or channel count. `gain`: of a measured device the speed-up of INT8
    over FP32 (None where it takes no time in one of them), of a table multiply-accumulates per time
    over those of its other block types. It is the geometric mean over shapes; `low` to `high`: its
    95 % interval, of a table the range over shapes."""

    part: AnalysisPart
    name: str
    verdict: Verdict
    gain: float | None
    low: float | None
    high: float | None
    why: str


def reference_of(rows: Sequence[Row]) -> float | None:
    """The gain to compare with: the geometric mean of whole models, else of everything known."""
    found = _gain([r for r in rows if r.case.part is AnalysisPart.models]) or _gain(rows)
    return found[0] if found else None


def tastes(rows: Sequence[Row]) -> tuple[Taste, ...]:
    """Operators, block types and channels, by gain, the best first."""
    reference = reference_of(rows)
    asked = [r for r in rows if r.case.part in (AnalysisPart.operators, AnalysisPart.blocks)]
    found: list[Taste] = []
    for part, name in dict.fromkeys((r.case.part, r.case.name) for r in asked):
        taste = _taste([r for r in asked if (r.case.part, r.case.name) == (part, name)], reference)
        found += [taste] if taste else []
    found += _channels([r for r in rows if r.case.part is AnalysisPart.channels])
    return tuple(sorted(found, key=lambda t: -(inf if t.gain is None else t.gain)))


def _taste(rows: Sequence[Row], reference: float | None) -> Taste | None:
    part, name = rows[0].case.part, rows[0].case.name
    found, most = _gain(rows), len(rows) / 2
    if sum(r.status in ("free", "int8-free") for r in rows) > most:
        return Taste(part, name, "likes", None, None, None, "takes no time of its own in INT8")
    if sum(r.status == "fp32-free" for r in rows) > most:
        return Taste(part, name, "dislikes", None, None, None, "takes time in INT8 only")
    if found is None or reference is None:
        return None
    gain, low, high = found
    verdict: Verdict = "indifferent"
    why = f"{gain / reference:.2f} times the usual gain"
    if gain >= MARGIN * reference and low > reference:
        verdict = "likes"
    elif high < 1:
        verdict, why = "dislikes", "slower in INT8 than in FP32"
    elif gain <= reference / MARGIN and high < reference:
        verdict = "dislikes"
    elif low < reference / MARGIN and high > MARGIN * reference:
        why = "not known well enough"
    return Taste(part, name, verdict, gain, low, high, why)


def _channels(rows: Sequence[Row]) -> list[Taste]:
    """From which width on 1x1 convolutions gain most of what they ever do."""
    known = [r for r in rows if r.speedup is not None and r.status == "known"]
    gains = {r.case.channels: r.speedup.value for r in known if r.speedup is not None}
    if not gains:
        return []
    most, narrow = max(gains.values()), min(gains)
    width = min(channels for channels, gain in gains.items() if gain >= ENOUGH * most)
    found = _gain([r for r in known if r.case.channels >= width])
    if found is None:
        return []
    why = f"{ENOUGH:.0%} of the most, {most:.2f}, from here on; {gains[narrow]:.2f} at {narrow}"
    verdict: Verdict = "likes" if found[1] > 1 else "indifferent"
    return [Taste(AnalysisPart.channels, f"conv 1x1, {width} channels", verdict, *found, why)]


def table_tastes(rows: Sequence[Row]) -> tuple[Taste, ...]:
    """Of a latency table, which has no FP32: block types by multiply-accumulates per time, over
    the geometric mean of all at the same shape."""
    found: list[Taste] = []
    shapes = dict.fromkeys((r.case.channels, r.case.size) for r in rows)
    usual = {
        shape: _mean([r.mmacs_per_ms for r in rows if (r.case.channels, r.case.size) == shape])
        for shape in shapes
    }
    for name in dict.fromkeys(r.case.name for r in rows):
        own = [r for r in rows if r.case.name == name]
        gains = [r.mmacs_per_ms / usual[r.case.channels, r.case.size] for r in own]
        gain = _mean(gains)
        verdict: Verdict = "likes" if gain >= MARGIN else "indifferent"
        verdict = "dislikes" if gain <= 1 / MARGIN else verdict
        why = f"{gain:.2f} times the usual multiply-accumulates per time"
        found.append(Taste(AnalysisPart.blocks, name, verdict, gain, min(gains), max(gains), why))
    return tuple(sorted(found, key=lambda t: -(t.gain or 0)))


def _gain(rows: Iterable[Row]) -> tuple[float, float, float] | None:
    """The geometric mean of speed-ups with its 95 % interval, which follows from theirs; None
    where none is known to a factor of `USABLE`."""
    centres, reaches = [], []
    for row in rows:
        found = row.speedup
        if found is None or found.low is None or found.high is None:
            continue
        reach = log(found.high / found.low) / 2
        if reach <= log(USABLE):
            centres.append(log(found.value))
            reaches.append(reach)
    if not centres:
        return None
    mean, reach = fsum(centres) / len(centres), hypot(*reaches) / len(reaches)
    return exp(mean), exp(mean - reach), exp(mean + reach)


def _mean(values: Sequence[float]) -> float:
    return exp(fsum(map(log, values)) / len(values))
