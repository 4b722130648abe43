"""Spaces beside each other: their best networks under every latency limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spacedsl.flows.open_scorers import by_target
from spacedsl.ir.space import Space
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Element, Figure, Table, Words
from spacedsl.report.plot import Plot, Point, Series
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.search.best.networks import BestScore, Network, beyond_said
from spacedsl.search.combined import CombinedScore
from spacedsl.search.compare import Compared, Comparison
from spacedsl.search.protocols import Unit
from spacedsl.search.space_score import LimitScore, SpaceScore


@dataclass(frozen=True, slots=True)
class Contender:
    """A space: its score, the same on other random subnets, and by target its best networks (of the
    definition `best`) or its scores under the limits."""

    name: str
    score: float
    fresh: float
    best: Mapping[str, BestScore]
    limits: Mapping[str, tuple[LimitScore, ...]]


def contender(name: str, result: SpaceScore | CombinedScore, fresh: float) -> Contender:
    """A space by its score on one target or on several."""
    parts = result.parts if isinstance(result, CombinedScore) else (("", result),)
    return Contender(
        name, result.score, fresh, by_target(result), {target: p.limits for target, p in parts}
    )


def contenders(comparison: Comparison) -> tuple[Contender, ...]:
    """The found space, the published one where there is one, and the best of the random ones."""
    found: dict[str, Compared] = {"found": comparison.found}
    if comparison.reference is not None:
        found[f"published {comparison.reference.name}"] = comparison.reference
    if comparison.random_best is not None:
        found[f"best of {len(comparison.random)} random"] = comparison.random_best
    return tuple(contender(name, c.result, c.fresh_score) for name, c in found.items())


def space_of(one: Contender) -> Space | None:
    """The space whose networks these are, where it has some."""
    nets = (n for score in one.best.values() for networks in score.networks for n in networks)
    first = next(nets, None)
    return first.subnet.of if first else None


def fronts(contenders: Sequence[Contender]) -> list[Element]:
    """Per target the best networks' worth against their latencies, with limits and intervals, and
    then all of it as a table."""
    first = contenders[0]
    if not first.best:
        return [_scores(contenders)]
    found: list[Element] = []
    for target in first.best:
        found.append(_front(contenders, target))
        found += _lead(contenders, target)
        found.append(_networks(contenders, target))
    shown = [ns[:1] for c in contenders for score in c.best.values() for ns in score.networks]
    if said := beyond_said(shown):
        found.append(Words(tuple(said)))
    return found


def worth(unit: Unit) -> str:
    """What networks are compared by."""
    return "predicted top-1 %" if unit == "top-1" else "1/loss"


def _on(words: str, target: str) -> str:
    return f"{words} on {target}" if target else words


def _front(contenders: Sequence[Contender], target: str) -> Figure:
    score = contenders[0].best[target]
    plot = Plot(
        Axis("latency, ms"),
        Axis(worth(score.unit)),
        tuple(_series(c, target, place) for place, c in enumerate(contenders)),
        limits=tuple((li.limit_ms, f"limit {li.limit_ms:g} ms") for li in score.limits),
        named=(("limit", "limit"),),
    )
    seen = "; ".join(
        f"{c.name}: {', '.join(p.said.partition(': ')[2] for p in s.points)}"
        for c, s in zip(contenders, plot.series, strict=True)
    )
    known = any(n.sd is not None for networks in score.networks for n in networks)
    caption = (
        "Each mark is the best network under a latency limit. Upright lines are one standard "
        "deviation of a prediction; predictions of one table err alike, so spaces compare better "
        "than the lines say."
        if known
        else "Each mark is the best network under a latency limit."
    )
    return Figure(_on("Best networks", target), seen, plot, caption)


def _lead(contenders: Sequence[Contender], target: str) -> list[Element]:
    """By how much the first space's networks are better than the others', limit by limit."""
    score, others = contenders[0].best[target], contenders[1:]
    digits, unit = (2, "points") if score.unit == "top-1" else (4, "1/loss")
    rows = []
    for i, limit in enumerate(score.limits):
        marks = []
        for place, other in enumerate(others, 1):
            pair = score.networks[i][:1], other.best[target].networks[i][:1]
            if all(pair):
                more = pair[0][0].value - pair[1][0].value
                said = (
                    f"{more:+.{digits}f} {unit} against {other.name}, under {limit.limit_ms:g} ms"
                )
                marks.append(Mark(more, place, said))
        rows.append(Row(f"{limit.limit_ms:g} ms", tuple(marks)))
    if not any(row.marks for row in rows):
        return []
    axis = Axis(f"{unit} by which {contenders[0].name} is ahead")
    entries = tuple(Entry(other.name, place) for place, other in enumerate(others, 1))
    seen = "; ".join(mark.said for row in rows for mark in row.marks)
    picture = Rows(axis, tuple(rows), entries, ((0.0, "equal"),))
    return [Figure(_on(f"How far {contenders[0].name} is ahead", target), seen, picture)]


def _series(c: Contender, target: str, place: int) -> Series:
    score = c.best[target]
    firsts = [(li, ns[0]) for li, ns in zip(score.limits, score.networks, strict=True) if ns]
    points = tuple(_point(c.name, li.limit_ms, n, score.unit) for li, n in firsts)
    return Series(c.name, points, place, joined=True)


def _point(name: str, limit_ms: float, network: Network, unit: Unit) -> Point:
    value, reach = network.value, network.sd
    said = (
        f"{name}: {value_said(network, unit)} at {network.latency_ms:.3f} ms, "
        f"{network.subnet.resolution} px, under {limit_ms:g} ms"
    )
    y_range = None if reach is None or unit != "top-1" else (value - reach, value + reach)
    return Point(network.latency_ms, value, said, y_range=y_range)


def value_said(network: Network, unit: Unit) -> str:
    """What a network is worth, as it is printed."""
    if unit == "1/loss":
        return f"{network.value:.4f}"
    return network.points


def _networks(contenders: Sequence[Contender], target: str) -> Table:
    """Limit by limit, every space's best network."""
    score = contenders[0].best[target]
    unit = "top-1 %" if score.unit == "top-1" else "1/loss"
    rows: list[tuple[str, ...]] = [
        (c.name, f"{limit.limit_ms:g} ms", *_cells(c.best[target].networks[i], score.unit))
        for i, limit in enumerate(score.limits)
        for c in contenders
    ]
    cut = tuple(range(len(contenders), len(rows), len(contenders)))
    note = "; ".join(f"{c.name}: score {c.score:.2f}" for c in contenders)
    heads: tuple[str, ...] = ("best networks", "limit", unit, "latency", "image", "expect")
    if not any(row[-1] for row in rows):
        rows, heads = [row[:-1] for row in rows], heads[:-1]
    return Table(_on("In numbers", target), heads, tuple(rows), cut=cut, note=note)


def _cells(networks: Sequence[Network], unit: Unit) -> tuple[str, str, str, str]:
    if not networks:
        return "none", "", "", ""
    first = networks[0]
    expected = "" if first.expected is None else f"{first.expected:.1f}"
    size = f"{first.subnet.resolution} px"
    return value_said(first, unit), f"{first.latency_ms:.3f} ms", size, expected


def _scores(contenders: Sequence[Contender]) -> Table:
    """Q-T scores, which have no networks."""
    first = contenders[0]
    heads = [
        f"{f'{target} ' if target else ''}{limit.limit_ms:g} ms"
        for target, limits in first.limits.items()
        for limit in limits
    ]
    rows = tuple(
        (
            c.name,
            f"{c.score:.4f}",
            f"{c.fresh:.4f}",
            *(f"{limit.score:.4f}" for limits in c.limits.values() for limit in limits),
        )
        for c in contenders
    )
    note = "fresh: the score on random subnets that were drawn after the search"
    return Table("Q-T scores", ("space", "score", "fresh", *heads), rows, note=note)
