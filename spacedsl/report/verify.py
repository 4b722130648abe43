"""How well a latency model predicts, as a report."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from spacedsl.colours import GREY
from spacedsl.figures import counted
from spacedsl.ir.target import Target
from spacedsl.report.parts import Facts, Figure, Made, Report, Section, Table
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.scale import Axis
from spacedsl.targets.verify import Checked, Verification


def verify_report(target: Target, result: Verification, made: Made) -> Report:
    """Predictions against measurements, errors by network, and the figures in numbers."""
    known = [c for c in result.checked if isfinite(c.error)]
    count = len(result.checked)
    lead = (
        f"{counted(count, 'network')} that its profile has not seen: {result.within(0.05)} are "
        f"predicted within 5 %, {result.within(0.10)} within 10 %."
    )
    return Report(
        "verification",
        f"Latencies of {target.name}",
        lead,
        (
            Section("Predicted and measured", (_plot(result, known),) if known else ()),
            Section("Errors", (_errors(result, known),) if known else ()),
            Section("Figures", (Facts(_facts(result)), _table(result))),
        ),
        made,
    )


def _said(c: Checked, result: Verification) -> str:
    return (
        f"{c.name}: predicted {c.predicted_ms * result.factor:.3f} ms, measured "
        f"{c.measured_ms:.3f} ms ({c.low_ms:.3f} to {c.high_ms:.3f}), {c.error:+.1%}"
    )


def _plot(result: Verification, known: list[Checked]) -> Figure:
    def point(c: Checked) -> Point:
        predicted, measured = c.predicted_ms * result.factor, (c.low_ms, c.high_ms)
        return Point(c.measured_ms, predicted, _said(c, result), x_range=measured)

    plot = Plot(
        Axis("measured ms", log=True),
        Axis("predicted ms", log=True),
        _by_space(known, point),
        diagonals=((0.9, "10 % less"), (1.0, "as predicted"), (1.1, "10 % more")),
        named=(("equal", "limit"), ("10 % off", "band")),
    )
    caption = (
        f"Predictions are times {result.factor:.3f}, the factor that all networks have in common. "
        "Lines are 95 % intervals of what was measured."
    )
    seen = f"{len(known)} networks beside the line where both are equal."
    return Figure("Predicted and measured", seen, plot, caption)


def _errors(result: Verification, known: list[Checked]) -> Figure:
    def point(c: Checked) -> Point:
        reach = (100 * (c.measured_ms / c.high_ms - 1), 100 * (c.measured_ms / c.low_ms - 1))
        error = 100 * c.error
        return Point(
            c.measured_ms, error, _said(c, result), y_range=(error + reach[0], error + reach[1])
        )

    levels = ((-5.0, ""), (0.0, ""), (5.0, ""))
    plot = Plot(
        Axis("measured ms", log=True),
        Axis("prediction over measurement, % off"),
        _by_space(known, point),
        levels=levels,
    )
    seen = "; ".join(f"{c.name} {c.error:+.1%}" for c in known)
    return Figure("Errors", seen, plot)


def _by_space(known: list[Checked], point: Callable[[Checked], Point]) -> tuple[Series, ...]:
    spaces = dict.fromkeys(c.space for c in known)
    return tuple(
        Series(space, tuple(point(c) for c in known if c.space == space), i % GREY)
        for i, space in enumerate(spaces)
    )


def _facts(result: Verification) -> tuple[tuple[str, str], ...]:
    found = result.to_json()
    missing = "1 is" if found["uncovered"] == 1 else f"{found['uncovered']} are"
    repeat = found["repeatability"]
    listed = ", ".join(
        f"{float(q):.0%}: {e:.1%}" for q, e in found["quantiles"].items() if e is not None
    )
    return (
        ("networks", f"{len(result.checked)}, of which {missing} not covered"),
        ("rounds", f"{result.rounds} ({'processor' if result.clock == 'cpu' else 'wall'} time)"),
        (
            "repeat",
            f"halves of the rounds agree within {repeat['median']:.1%} in the median, "
            f"{repeat['greatest']:.1%} at worst; {repeat['within_3_percent']} within 3 %",
        ),
        ("errors by quantile", listed),
        ("common factor", f"{result.factor:.3f}"),
        ("Kendall's tau", f"{result.tau:.3f}"),
    )


def _table(result: Verification) -> Table:
    heads = (
        "network",
        "space",
        "predicted ms",
        "measured ms",
        "error",
        "halves differ",
        "known from",
    )
    rows = tuple(
        (
            c.name,
            c.space,
            f"{c.predicted_ms * result.factor:.3f}" if isfinite(c.error) else "",
            f"{c.measured_ms:.3f}",
            f"{c.error:+.1%}" if isfinite(c.error) else "",
            f"{c.split_half:.1%}",
            c.coverage,
        )
        for c in result.checked
    )
    return Table("All networks", heads, rows, left=2, folded=True)
