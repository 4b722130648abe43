"""A supernet's training, as a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spacedsl.flows.train import Trained
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Code, Element, Facts, Figure, Made, Report, Section, Table
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.report.show import ribbon_of

if TYPE_CHECKING:
    from spacedsl_runtime.train.evaluate import Score

LOSSES = (
    "The largest subnet learns from labels, the others from its answers: their losses are "
    "distances from it, so that they may rise as it improves."
)

SERIES = 7
"""Curves that colours tell apart."""


def train_report(
    trained: Trained,
    metrics: Sequence[Mapping[str, Any]],
    facts: tuple[tuple[str, str], ...],
    page: str,
    made: Made,
) -> Report:
    """What it came to, INT8 against FP32, the curves by path, and the space. `metrics`: the lines
    of its run, which have losses and accuracies by path; `facts`: what is said of the run."""
    best = max(trained.scores, key=lambda score: score.top1)
    form = f"in INT8 for {trained.target.name}" if trained.target else "in FP32"
    return Report(
        "quantisation-aware training" if trained.target else "training",
        f"The supernet of {trained.space.name}",
        f"Its best evaluated subnet, {best.name}, names {best.top1:.2%} of {best.images:,} test "
        f"images right {form}.",
        (
            Section("Accuracies", tuple(_accuracies(trained))),
            Section("Curves by path", tuple(_curves(metrics))),
            Section("The run", (Facts(facts),)),
            Section("The space", (ribbon_of(trained.space), Code("The page", page))),
        ),
        made,
    )


def _accuracies(trained: Trained) -> list[Element]:
    """Every evaluated subnet; where it was quantised, before and after."""
    now, before = ("INT8", "FP32") if trained.target else ("FP32", "")
    rows = tuple(_row(trained, score, now, before) for score in trained.scores)
    compared = bool(trained.lost)
    entries = (Entry(now, 0), *([Entry(before, 1)] if compared else []))
    seen = "; ".join(mark.said for row in rows for mark in row.marks)
    picture = Rows(Axis("top-1 % of the test images"), rows, entries, look="joined")
    caption = "On the right: percentage points that quantisation took." if compared else ""
    cells = tuple(
        (
            score.name,
            f"{score.subnet.resolution} px",
            f"{score.top1:.2%}",
            *([_fp32(trained, score), _points(trained, score)] if compared else []),
        )
        for score in trained.scores
    )
    heads = ("subnet", "image", now, *(["FP32", "points lost"] if compared else []))
    return [
        Figure("Accuracies", seen, picture, caption),
        Table("In numbers", heads, cells, folded=True),
    ]


def _row(trained: Trained, score: Score, now: str, before: str) -> Row:
    marks = [Mark(100 * score.top1, 0, f"{score.name}: {score.top1:.2%} in {now}")]
    if score.name in trained.lost:
        said = f"{score.name}: {_fp32(trained, score)} in {before}"
        marks.append(Mark(100 * trained.lost[score.name]["fp32_top1"], 1, said))
    named = f"{score.name} at {score.subnet.resolution} px"
    return Row(named, tuple(marks), _points(trained, score))


def _fp32(trained: Trained, score: Score) -> str:
    """Its accuracy before it was quantised, where that is known."""
    lost = trained.lost.get(score.name)
    return f"{lost['fp32_top1']:.2%}" if lost else ""


def _points(trained: Trained, score: Score) -> str:
    """What quantising took of it, in percentage points."""
    lost = trained.lost.get(score.name)
    return f"{lost['lost_points']:+.2f}" if lost else ""


def _curves(metrics: Sequence[Mapping[str, Any]]) -> list[Element]:
    """Losses and accuracies by step."""
    losses = _by_path((line["step"], line["loss"]) for line in metrics if "loss" in line)
    scores = _by_path(
        (line["step"], {name: 100 * s["top1"] for name, s in line["scores"].items()})
        for line in metrics
        if "scores" in line
    )
    found: list[Element] = []
    for title, label, curves, look, note in (
        ("Loss", "loss of the training images", losses, "line", LOSSES),
        ("Accuracy", "top-1 % of the test images", scores, "dots", ""),
    ):
        if curves:
            series = tuple(
                Series(name, points, i, "line" if look == "line" else "dots", joined=True)
                for i, (name, points) in enumerate(curves[:SERIES])
            )
            seen = "; ".join(f"{name} ends at {points[-1].y:.4g}" for name, points in curves)
            picture = Plot(Axis("steps", whole=True), Axis(label), series)
            found.append(Figure(title, seen, picture, note))
    return found


def _by_path(
    lines: Iterable[tuple[int, Mapping[str, float]]],
) -> list[tuple[str, tuple[Point, ...]]]:
    """Path -> its values by step, in the order in which paths are first named."""
    found: dict[str, list[Point]] = {}
    for step, values in lines:
        for name, value in values.items():
            said = f"{name}, step {step:,}: {value:.4g}"
            found.setdefault(name, []).append(Point(step, value, said))
    return [(name, tuple(points)) for name, points in found.items()]
