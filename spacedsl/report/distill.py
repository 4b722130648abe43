"""What distillation says of block types, as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from spacedsl.colours import GREY
from spacedsl.flows.distill import Distilled, Losses
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Code, Facts, Figure, Made, Report, Section, Table
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.ribbon import block_name, palette
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.report.show import ribbon_of


def distill_report(
    found: Distilled, facts: tuple[tuple[str, str], ...], page: str, made: Made
) -> Report:
    """The losses of block types, stage by stage, and the hyperspace; `facts`: data, teacher, ..."""
    return Report(
        "block-wise distillation",
        f"Block types of {found.space.name}",
        f"{len(found.jobs)} pairs of a stage and a block type were distilled; {found.rows:,} of "
        "their sub-stages were measured.",
        (
            Section("Losses", (_losses(found), _table(found.jobs))),
            Section("How the losses fell", tuple(_curves(found))),
            Section("The run", (Facts(facts),)),
            Section("The hyperspace", (ribbon_of(found.space), Code("The page", page))),
        ),
        made,
    )


def _losses(found: Distilled) -> Figure:
    """By stage, a mark per block type."""
    colours = palette(found.space)
    stages = dict.fromkeys(job.stage for job in found.jobs)
    rows = tuple(
        Row(
            stage,
            tuple(
                Mark(
                    median(job.losses),
                    colours.get(block_name(job.block), GREY),
                    _said(job),
                    _range(job),
                )
                for job in found.jobs
                if job.stage == stage and job.losses
            ),
        )
        for stage in stages
    )
    blocks = dict.fromkeys(block_name(job.block) for job in found.jobs)
    entries = tuple(Entry(block, colours.get(block, GREY)) for block in blocks)
    axis = Axis("NSR loss (less is better)", log=True)
    seen = "; ".join(_said(job) for job in found.jobs if job.losses)
    caption = (
        "The NSR loss is a stage's error over its teacher's spread. Each mark is the median of a "
        "block type's sub-stages, each line goes from the least loss to the greatest."
    )
    return Figure("Losses", seen, Rows(axis, rows, entries), caption)


def _curves(found: Distilled) -> Iterator[Figure]:
    """By stage, the loss of every block type by step."""
    colours = palette(found.space)
    for stage in dict.fromkeys(job.stage for job in found.jobs if job.curve):
        curves = {block_name(j.block): j.curve for j in found.jobs if j.stage == stage and j.curve}
        series = tuple(
            Series(
                block,
                tuple(Point(x, y, f"{block}, step {x:,}: {y:.4g}") for x, y in curve),
                colours.get(block, GREY),
                "line",
            )
            for block, curve in curves.items()
        )
        seen = "; ".join(f"{block} ends at {curve[-1][1]:.4g}" for block, curve in curves.items())
        loss = Axis("NSR loss of the largest sub-stage", log=True)
        lsq = "In the last steps the quantisers of LSQ+ learn; the loss rises where they begin."
        caption = lsq if found.target else ""
        yield Figure(stage, seen, Plot(Axis("steps", whole=True), loss, series), caption)


def _range(job: Losses) -> tuple[float, float]:
    return min(job.losses), max(job.losses)


def _said(job: Losses) -> str:
    low, high = _range(job)
    named = f"{job.stage} {block_name(job.block)}"
    return f"{named}: median {median(job.losses):.4g}, {low:.4g} to {high:.4g}"


def _table(jobs: Sequence[Losses]) -> Table:
    rows = tuple(
        (
            job.stage,
            block_name(job.block),
            f"{len(job.losses):,}",
            *(f"{value:.4g}" for value in (min(job.losses), median(job.losses), max(job.losses))),
        )
        for job in jobs
        if job.losses
    )
    heads = ("stage", "block type", "sub-stages", "least", "median", "greatest")
    return Table("In numbers", heads, rows, left=2, folded=True)
