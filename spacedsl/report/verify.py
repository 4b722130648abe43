"""How well a latency model predicts, as a report."""

from __future__ import annotations

from math import isfinite

from spacedsl.ir.target import Target
from spacedsl.report.parts import Facts, Figure, Made, Report, Section, Table
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.targets.verify import Checked, Verification


def verify_report(target: Target, result: Verification, made: Made) -> Report:
    """Predictions against measurements, errors by network, and the figures in numbers."""
    known = [c for c in result.checked if isfinite(c.error)]
    count = len(result.checked)
    lead = (
        f"{count} networks that its profile has not seen: {result.within(0.05)} are predicted "
        f"within 5 %, {result.within(0.10)} within 10 %."
    )
    return Report(
        "verification",
        f"Latencies of {target.name}",
        lead,
        (
            Section("Predicted and measured", (_plot(result, known),) if known else ()),
            Section("Errors", (_errors(known),) if known else ()),
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
    spaces = list(dict.fromkeys(c.space for c in known))
    series = tuple(
        Series(
            space,
            tuple(
                Point(
                    c.measured_ms,
                    c.predicted_ms * result.factor,
                    _said(c, result),
                    x_range=(c.low_ms, c.high_ms),
                )
                for c in known
                if c.space == space
            ),
            i % 7,
        )
        for i, space in enumerate(spaces)
    )
    plot = Plot(
        Axis("measured ms", log=True),
        Axis("predicted ms", log=True),
        series,
        diagonals=((0.9, "10 % less"), (1.0, "as predicted"), (1.1, "10 % more")),
        named=(("equal", "limit"), ("10 % off", "band")),
    )
    caption = (
        f"Predictions are times {result.factor:.3f}, the factor that all networks have in common. "
        "Lines are 95 % intervals of what was measured."
    )
    seen = f"{len(known)} networks beside the line where both are equal."
    return Figure("Predicted and measured", seen, plot, caption)


def _errors(known: list[Checked]) -> Figure:
    ordered = sorted(known, key=lambda c: c.error)
    rows = tuple(
        Row(c.name, (Mark(100 * c.error, 0, f"{c.name}: {c.error:+.1%}"),)) for c in ordered
    )
    picture = Rows(
        Axis("prediction over measurement, % off"),
        rows,
        (),
        ((0.0, ""), (-5.0, "-5 %"), (5.0, "+5 %")),
    )
    seen = "; ".join(f"{c.name} {c.error:+.1%}" for c in ordered)
    return Figure("Errors", seen, picture)


def _facts(result: Verification) -> tuple[tuple[str, str], ...]:
    found = result.to_json()
    repeat = found["repeatability"]
    listed = ", ".join(
        f"{float(q):.0%}: {e:.1%}" for q, e in found["quantiles"].items() if e is not None
    )
    return (
        ("networks", f"{len(result.checked)}, of which {found['uncovered']} are not covered"),
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
