"""The best space of a hyperspace and its certificate, as a report."""

from __future__ import annotations

from collections.abc import Sequence

from spacedsl.flows.optimum import Certified
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.report.contest import contender, fronts
from spacedsl.report.evolve import ribbons
from spacedsl.report.parts import Code, Facts, Figure, Made, Report, Section, Table, Words
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.search.exact.found import Optimum, Ranked


def optimum_report(
    certified: Certified, hyper: Space, page: str, said: Sequence[str], made: Made
) -> Report:
    """The best space, its networks, the certificate, and the spaces that come after it. `page`: the
    best space's; `said`: what else is printed of it."""
    found, devices = certified.optimum, " and ".join(target.name for target in certified.targets)
    how = "This is proven." if found.complete else "The proof is not complete."
    score = found.result.score
    best = contender("best space", found.result, score)
    return Report(
        "best space, with a certificate",
        f"The best space of {hyper.name} for {devices}",
        f"Of {found.size:,} spaces this one scores most: {score:.6f}. {how}",
        (
            Section("The best space", tuple(ribbons(found.space, None))),
            Section("Its best networks", tuple(fronts([best]))),
            Section("Certificate", (Facts(_certificate(found)), _pruned(found))),
            Section("What comes after it", _after(found)),
            Section("Refits", (Words(tuple(said)),) if said else ()),
            Section("The page", (Code("The page", page),)),
        ),
        made,
    )


def _certificate(found: Optimum) -> tuple[tuple[str, str], ...]:
    score = found.result.score
    return (
        ("complete", "yes" if found.complete else "no: the search was stopped"),
        ("score", f"{score:.6f}"),
        ("no space scores", f"more than {found.bound:.6f} (gap {found.bound - score:.1e})"),
        ("spaces", f"{found.size:,}"),
        ("scored", f"{found.enumerated:,}"),
        ("pruned", f"{sum(found.pruned.values()):,}"),
        ("left open", f"{found.open:,}"),
        ("precision", f"{found.precision:.0e} of the score"),
        ("tables", found.tables[:16]),
    )


def _pruned(found: Optimum) -> Table:
    rows = tuple((rule, f"{count:,}") for rule, count in found.pruned.items() if count)
    return Table("Pruned by rule", ("rule", "spaces"), rows, folded=True)


def _after(found: Optimum) -> tuple[Figure | Table, ...]:
    """The next best spaces, and the rivals that the search met."""
    score = found.result.score
    ranked = [(f"{place}.", one) for place, one in enumerate(found.best, 1)]
    ranked += [("scored too:", one) for one in found.rivals]
    if len(ranked) < 2:
        return ()
    rows = tuple(
        Row(
            f"{name} {space_identity(one.space)[:8]}",
            (Mark(score - one.result.score, 0, _said(name, one)),),
        )
        for name, one in ranked
    )
    seen = "; ".join(_said(name, one) for name, one in ranked)
    picture = Rows(Axis("score below the best one's", from_zero=True), rows)
    caption = "Numbers say the order of the best spaces."
    if found.rivals:
        caption += " Spaces that were scored too need not come next: others were left out unscored."
    return (Figure("Scores", seen, picture, caption), _table(ranked))


def _said(name: str, one: Ranked) -> str:
    return f"{name} {space_identity(one.space)[:16]}: {one.result.score:.6f}"


def _table(ranked: Sequence[tuple[str, Ranked]]) -> Table:
    rows = tuple(
        (name, space_identity(one.space)[:16], f"{one.result.score:.6f}") for name, one in ranked
    )
    return Table("In numbers", ("", "space", "score"), rows, left=2, folded=True)
