"""What a search over spaces found, as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spacedsl.colours import GREY
from spacedsl.figures import counted
from spacedsl.flows.evolve import Evolved, OnFront
from spacedsl.ir.space import Space, Stage
from spacedsl.report.contest import Contender, contenders, fronts, space_of
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Code, Element, Figure, Made, Report, Section, Table, Words
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.ribbon import Ribbon, block_name, palette, runs, widest
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.report.show import seen_stages
from spacedsl.search.best.calls import Call
from spacedsl.search.candidate import Genome, Genotype
from spacedsl.search.compare import UNCERTAINTIES, StageSensitivity
from spacedsl.search.evolve import Found


def evolve_report(evolved: Evolved, page: str, said: Sequence[str], made: Made) -> Report:
    """The found space, its best networks against other spaces', the search, and how sure it is.
    `page`: the found space's; `said`: what else is printed of it."""
    found, hyper = evolved.found, evolved.scorer.hyper
    against = contenders(evolved.comparison)
    published = space_of(against[1]) if evolved.comparison.reference else None
    devices = " and ".join(target.name for target in evolved.targets)
    return Report(
        "search of a hyperspace",
        f"The best space of {hyper.name} for {devices}",
        f"{len(found.history):,} spaces were scored; the best one was number "
        f"{found.best.index + 1:,}.",
        (
            Section("The found space", (*ribbons(found.space, published),)),
            Section("Found and published", (*fronts(against), *_said(said))),
            Section("The search", (_progress(found, hyper, against), *_front(evolved.front))),
            Section("How sure each choice is", (*_calls(evolved.calls), *_doubts(evolved.doubts))),
            Section("The page", (Code("The page", page),)),
        ),
        made,
    )


def _said(lines: Sequence[str]) -> Iterator[Element]:
    if lines:
        yield Words(tuple(lines))


def ribbons(found: Space, reference: Space | None) -> Iterator[Figure]:
    """The found space's stages, and the published one's to the same scale."""
    spaces = {"found": found, **({f"published {reference.name}": reference} if reference else {})}
    drawn = {name: runs(space) for name, space in spaces.items()}
    colours, most = palette(*spaces.values()), widest(list(drawn.values()))
    for name, own in drawn.items():
        yield Figure(name.capitalize(), seen_stages(own), Ribbon(own, colours, most))


LOWEST = 10
"""One of so many scored spaces, the worst ones, would leave the others little room on the axis."""


def _progress(found: Found, hyper: Space, against: Sequence[Contender]) -> Figure:
    """Every scored space, and the best one so far."""
    history, genome = found.history, Genome(hyper)
    scored = tuple(
        Point(r.index + 1, r.score, f"{r.index + 1:,}: {r.score:.4f}\n{_words(genome, r.genotype)}")
        for r in history
    )
    best: list[Point] = []
    for record in history:
        if not best or record.score > best[-1].y:
            best.append(Point(record.index + 1, record.score))
    best.append(Point(len(history), best[-1].y))
    floor = sorted(record.score for record in history)[len(history) // LOWEST]
    plot = Plot(
        Axis("spaces scored", whole=True),
        Axis("score"),
        (
            Series("best so far", tuple(best), 0, "steps"),
            Series("a scored space", scored, GREY, "cloud"),
        ),
        levels=tuple((c.score, c.name) for c in against[1:]),
        floor=floor,
    )
    seen = f"The best score goes from {best[0].y:.4f} to {best[-1].y:.4f}."
    caption = "Point at a space to see its block types and widths."
    if any(record.score < floor for record in history):
        caption += f" Spaces that score less than {floor:.4g} stand at the lower edge."
    return Figure("The search", seen, plot, caption)


def _front(front: Sequence[OnFront]) -> list[Element]:
    """On several targets, the spaces that no other beats on all of them."""
    if not front:
        return []
    targets = list(front[0].scores)
    rows = tuple(
        (one.hash[:16], f"{one.index + 1:,}", *(f"{one.scores[name]:.4f}" for name in targets))
        for one in front
    )
    heads = ("space", "number", *(f"score on {name}" for name in targets))
    table = Table("No scored space beats these on every target", heads, rows)
    if len(targets) != 2 or len(front) == 1:  # one point makes no picture
        return [table]
    first, second = targets
    points = tuple(
        Point(one.scores[first], one.scores[second], f"{' '.join(map(str, row))}")
        for one, row in zip(front, rows, strict=True)
    )
    series = (Series("unbeaten on both targets", points, 0, joined=True),)
    plot = Plot(Axis(f"score on {first}"), Axis(f"score on {second}"), series)
    return [Figure("Two targets", counted(len(front), "space"), plot), table]


def _words(genome: Genome, genotype: Genotype) -> str:
    stages = (
        genome.alternatives[place][block][window] for place, (block, window) in enumerate(genotype)
    )
    return ", ".join(map(_stage, stages))


def _stage(stage: Stage) -> str:
    return f"{block_name(stage.choices[0])} {stage.widths[0]}-{stage.widths[-1]}"


def _calls(calls: Sequence[Call]) -> list[Element]:
    """A row for each stage: by how much the next best block type is worse there."""
    asked = [call for call in calls if call.rival is not None]
    if not asked:
        return []
    rows = tuple(
        Row(
            f"{call.stage}: {call.block} or {call.rival}",
            (Mark(100 * call.share, _sure(call), call.said),),
            f"{call.share:.2%}",
        )
        for call in asked
    )
    known = {CLEAR: "clear", UNLESS: "unless transferred losses are off", GREY: "too close to call"}
    shown = {_sure(call) for call in asked}
    entries = tuple(Entry(said, tone, "patch") for tone, said in known.items() if tone in shown)
    axis = Axis("% of the score that the next best type lacks", from_zero=True)
    picture = Rows(axis, rows, entries, look="bars")
    caption = "The other stages are as found. Too close is what the tables cannot tell apart."
    if any(call.share < 0 for call in asked):
        caption += " Left of 0 the other type scores more, which a longer search may find."
    return [Figure("Block types", "; ".join(call.said for call in asked), picture, caption)]


CLEAR, UNLESS = 2, 1
"""Colours of block types that are clearly the best, or the best unless losses are off."""


def _sure(call: Call) -> int:
    return CLEAR if call.clear else GREY if call.unless is None else UNLESS


def _doubts(doubts: Sequence[StageSensitivity]) -> list[Element]:
    """Whether choices stay the best where transferred losses are off."""
    asked = [doubt for doubt in doubts if doubt.rival is not None]
    if not asked:
        return []
    rows = tuple(
        (
            d.stage,
            d.block,
            d.rival or "",
            "yes" if d.survives else "no",
            f"{d.score:.4f}",
            f"{d.rival_score:.4f}",
            f"{d.uncertainty:.3f}",
        )
        for d in asked
    )
    heads = ("stage", "block type", "rival", "stays the best", "score", "rival's", "uncertainty")
    note = (
        "Some losses are transferred from another table. The scores are what they would be if such "
        f"a loss were off by {UNCERTAINTIES:g} standard uncertainties, against the block type that "
        "was found. The uncertainty is of that loss."
    )
    return [Table("If transferred losses are off", heads, rows, left=4, note=note)]
