"""What `--refits` shows: how often a found space stays the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacedsl.search.best.refits import Refit


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
        less = "less" if optimism >= 0 else "more"
        lines.append(
            f"  networks that a fit chooses as the best have {abs(optimism):.2f} points {less} by "
            "the table itself, on average"
        )
    return lines


def _optimism(found: Sequence[Refit]) -> float | None:
    known = [r.optimism for r in found if r.optimism is not None]
    return sum(known) / len(known) if known else None
