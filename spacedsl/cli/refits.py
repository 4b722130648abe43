"""`--refits`: how often a found space stays the best where its quality table is fitted to resampled
data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.search.best.refits import AnyScorer, Refit
    from spacedsl.search.protocols import QualityModel
    from spacedsl.search.qt_score import ModelScorer, RowsScorer


def require_refits(
    count: int, tables: Mapping[str, ModelScorer | RowsScorer], *, by_best: bool
) -> Sequence[QualityModel]:
    """The refits that are asked for, of the one quality table of all targets. Raises `SpaceError`
    where there are fewer."""
    from spacedsl.search.qt_score import ModelScorer

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
    *,
    quiet: bool,
) -> tuple[Refit, ...]:
    """Search once more by each refit, with a bar on standard error."""
    from spacedsl.cli.progress import counting
    from spacedsl.search.best.refits import refits
    from spacedsl.tables.network_sums import network_values

    if not models:
        return ()
    with counting("refits", len(models), "refits", quiet=quiet) as bar:
        done = 0

        def one(scorer: AnyScorer) -> Space:
            nonlocal done
            found = search(scorer)
            done += 1
            bar(done, "")
            return found

        return refits(scorer, space, models, one, network_values)


def refits_json(found: Sequence[Refit]) -> dict[str, Any]:
    """Plain data; empty where no refits were asked for."""
    if not found:
        return {}
    each = [{"score": r.score, "best": r.best, "hash": r.hash, "kept": r.kept} for r in found]
    facts = {"count": len(found), "kept": sum(r.kept for r in found), "optimism": _optimism(found)}
    return {"refits": {**facts, "each": each}}


def refits_lines(found: Sequence[Refit]) -> list[str]:
    """The same in words."""
    if not found:
        return []
    lost = [r.best - r.score for r in found if not r.kept]
    lines = [
        f"refits: of {len(found)} fits of the quality table to resampled data, the found space "
        f"stays the best by {len(found) - len(lost)}"
    ]
    if lost:
        mean = sum(lost) / len(lost)
        lines.append(
            f"  by the others another space scores {mean:.2f} more on average, {max(lost):.2f} at "
            "most"
        )
    optimism = _optimism(found)
    if optimism is not None:
        lines.append(
            f"  networks that a fit chooses as the best have {optimism:.2f} points less by the "
            "table itself, on average"
        )
    return lines


def _optimism(found: Sequence[Refit]) -> float | None:
    known = [r.optimism for r in found if r.optimism is not None]
    return sum(known) / len(known) if known else None
