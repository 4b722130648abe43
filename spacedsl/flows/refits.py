"""How often a found space stays the best where its quality table is fitted to resampled data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from spacedsl.diagnostics import fault
from spacedsl.figures import duration
from spacedsl.flows.watch import Watch

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.search.best.refits import AnyScorer, Refit
    from spacedsl.search.protocols import QualityModel
    from spacedsl.search.qt_scorers import ModelScorer, RowsScorer


def require_refits(
    count: int, tables: Mapping[str, ModelScorer | RowsScorer], *, by_best: bool
) -> Sequence[QualityModel]:
    """The refits that are asked for, of the one quality table of all targets. Raises `SpaceError`
    where there are fewer."""
    from spacedsl.search.qt_scorers import ModelScorer

    first = next(iter(tables.values()))
    if not count:
        return ()
    if not by_best or not isinstance(first, ModelScorer):
        message = "--refits belongs to --definition best"
        raise fault("bad-option", message, "leave it out, or leave --definition out")
    known = first.quality.refits()
    if count > len(known):
        message = f"--refits {count}: the quality table has {len(known)} refits"
        write = "`spacedsl tables calibrate` or `tables fit --accuracies` make tables with refits"
        raise fault("table-part", message, f"say at most {len(known)}" if known else write)
    return known[:count]


def refitted_search(
    scorer: AnyScorer,
    space: Space,
    models: Sequence[QualityModel],
    search: Callable[[AnyScorer], Space],
    seconds: float,
    watch: Watch,
) -> tuple[Refit, ...]:
    """Search once more by each refit. It says beforehand that this takes so many times the
    `seconds` of the first search."""
    from spacedsl.search.best.refits import refits
    from spacedsl.tables.network_sums import network_values

    if not models:
        return ()
    took = f"the search took {duration(seconds)} without what a journal held of it"
    watch.say(
        f"refits: {took}; {len(models)} more like it take at most {duration(len(models) * seconds)}"
    )
    with watch.counting("refits", len(models), "refits") as bar:
        done = 0
        bar(done)

        def one(scorer: AnyScorer) -> Space:
            nonlocal done
            found = search(scorer)
            done += 1
            bar(done)
            return found

        return refits(scorer, space, models, one, network_values)
