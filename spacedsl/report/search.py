"""The best subnets of a trained supernet, as a report."""

from __future__ import annotations

from collections.abc import Sequence

from spacedsl.colours import GREY
from spacedsl.figures import amount, counted, listed
from spacedsl.flows.deployment import Deployment, Searched
from spacedsl.report.parts import Code, Figure, Made, Report, Section, Table
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.scale import Axis
from spacedsl.report.show import ribbon_of


def search_report(found: Searched, pages: Sequence[str], made: Made) -> Report:
    """Accuracy against latency of all that was valued, the deployed models, and their pages."""
    named = zip(found.models, pages, strict=True)
    return Report(
        "search of a supernet",
        f"The best networks of {found.space.name} for {found.target.name}",
        f"Valued on held-out images: {counted(len(found.valued), 'subnet')}. The best one under "
        "each latency limit is written as an INT8 file.",
        (
            Section("Accuracy and latency", (_front(found), _table(found))),
            Section("The space", (ribbon_of(found.space),)),
            Section("The pages", tuple(Code(model.name, page) for model, page in named)),
        ),
        made,
    )


def _front(found: Searched) -> Figure:
    valued = tuple(
        Point(
            v.predicted_ms,
            100 * v.held_out_top1,
            f"{v.held_out_top1:.2%} at {v.predicted_ms:.4g} ms\n{v.words}",
        )
        for v in found.valued
    )
    chosen = tuple(
        Point(m.predicted_ms, 100 * m.held_out_top1, f"{m.name}: {m.held_out_top1:.2%} held out")
        for m in found.models
    )
    places: dict[tuple[float, float], list[Deployment]] = {}
    for model in found.models:
        places.setdefault((found.latency_ms(model), model.top1), []).append(model)
    deployed = tuple(_point(*place, models) for place, models in places.items())
    said = "measured" if found.measured else "predicted"
    plot = Plot(
        Axis(f"INT8 latency on {found.target.name}, ms"),
        Axis("INT8 top-1 %"),
        (
            Series(f"INT8 file on test images, {said} latency", deployed, 1),
            Series("chosen, on held-out images", chosen, 0, "hollow"),
            Series("valued, on held-out images", valued, GREY, "cloud"),
        ),
        limits=tuple((m.limit_ms, f"limit {m.limit_ms:g} ms") for m in found.models),
        named=(("limit", "limit"),),
    )
    seen = "; ".join(point.said for point in deployed)
    caption = "Upright lines are 95 % intervals, which follow from the number of test images."
    return Figure("Accuracy and latency", seen, plot, caption)


def _point(ms: float, top1: float, models: Sequence[Deployment]) -> Point:
    """A file, or several that are the same network, under the limits of each."""
    names = [model.name for model in models]
    low, high = models[0].interval
    said = f"{', '.join(names)}: {top1:.2%} ({low:.2%} to {high:.2%}) at {ms:.4g} ms"
    return Point(ms, 100 * top1, said, listed(names, most=1), y_range=(100 * low, 100 * high))


def _table(found: Searched) -> Table:
    timed = ("measured ms",) if found.measured else ()
    heads = (
        "model",
        "limit ms",
        "predicted ms",
        *timed,
        "image",
        "FLOPs",
        "held out",
        "INT8 top-1",
    )
    rows = tuple(
        (
            m.name,
            f"{m.limit_ms:g}",
            f"{m.predicted_ms:.4g}",
            *([f"{found.latency_ms(m):.4g}"] if found.measured else []),
            f"{m.resolution} px",
            amount(m.flops),
            f"{m.held_out_top1:.2%}",
            f"{m.top1:.2%}",
        )
        for m in found.models
    )
    images = found.models[0].images
    return Table("Models", heads, rows, note=f"INT8 top-1: of the file, on {images:,} test images")
