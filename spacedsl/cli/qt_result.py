"""What a search shows: the closing table, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from spacedsl.cli.words import wrapped
from spacedsl.figures import counted
from spacedsl.flows.evolve import OnFront
from spacedsl.search.combined import CombinedScore
from spacedsl.search.compare import UNCERTAINTIES, Compared, Comparison, StageSensitivity
from spacedsl.search.exact.expectation import ExactScore, exact_json
from spacedsl.search.space_score import SpaceScore, score_json

LABEL_COLUMNS, CELL_COLUMNS = 18, 9
"""Widths of the closing table, which is never squeezed."""


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Plain data of the spaces that are compared."""
    reference = comparison.reference
    return {
        "found": _compared_json(comparison.found),
        "reference": _compared_json(reference) if reference else None,
        "random": [_compared_json(one) for one in comparison.random],
    }


def qt_score_json(result: SpaceScore | CombinedScore) -> dict[str, Any]:
    """A Q-T score on one target or on several, as plain data."""
    if isinstance(result, CombinedScore):
        parts = [{"target": name, **qt_score_json(part)} for name, part in result.parts]
        limits = [{"target": part["target"], **limit} for part in parts for limit in part["limits"]]
        score = {"score": result.score, "combine": result.combine.value}
        return {**score, "limits": limits, "targets": parts}
    return exact_json(result) if isinstance(result, ExactScore) else score_json(result)


def front_json(one: OnFront) -> dict[str, Any]:
    """Plain data of a space that no other scored one beats on every target."""
    return {
        "index": one.index,
        "hash": one.hash,
        "genes": one.genotype,
        "scores": dict(one.scores),
    }


def full_json(finer: Mapping[str, ExactScore]) -> list[dict[str, Any]]:
    """The found space's score on each target at full detail, and how far that may be off."""
    return [{"target": n, "score": s.score, "error": s.error} for n, s in finer.items()]


def print_full(finer: Mapping[str, ExactScore]) -> None:
    """A line per target: what a search with exact scores found, at full detail."""
    for name, result in finer.items():
        print(f"found, at full detail, on {name}: {result.score:.6f} (error {result.error:.1e})")


def print_front(front: Sequence[OnFront]) -> None:
    """A line per space of the front."""
    if front:
        print("no space that was scored beats these on every target:")
    for one in front:
        scores = "  ".join(f"{name} {score:.6f}" for name, score in one.scores.items())
        print(f"  {one.hash[:16]}  {scores}")


def _compared_json(compared: Compared) -> dict[str, Any]:
    return {
        "name": compared.name,
        "hash": compared.hash,
        "score": compared.result.score,
        "fresh_score": compared.fresh_score,
        "limits": qt_score_json(compared.result)["limits"],
    }


def doubt_json(doubt: StageSensitivity) -> dict[str, Any]:
    """Plain data."""
    return {
        "stage": doubt.stage,
        "block": doubt.block,
        "transferred": doubt.transferred,
        "uncertainty": doubt.uncertainty,
        "rival": doubt.rival,
        "score": doubt.score,
        "rival_score": doubt.rival_score,
        "survives": doubt.survives,
    }


def print_comparison(comparison: Comparison) -> None:
    """The closing table: per space its Q-T score, the same on fresh subnets, and per limit."""
    limits = comparison.found.result.limits
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("Q-T scores")
    heads = _heads(comparison.found.result)
    for name in ("score", "fresh", *heads):
        table.add_column(name, justify="right", no_wrap=True)
    rows = [("found", comparison.found)]
    if comparison.reference is not None:
        rows.append((f"published {comparison.reference.name}", comparison.reference))
    count = len(comparison.random)
    if comparison.random_best is not None:
        rows.append(("random, best", comparison.random_best))
    for name, compared in rows:
        table.add_row(name, *_cells(compared))
    if comparison.random:
        fresh = sum(r.fresh_score for r in comparison.random) / count
        per_limit = [
            sum(r.result.limits[i].score for r in comparison.random) / count
            for i in range(len(limits))
        ]
        means = (comparison.random_mean, fresh, *per_limit)
        table.add_row("random, mean", *map(_cell, means))
    cells = max(CELL_COLUMNS, *(len(head) + 2 for head in heads))
    Console(width=LABEL_COLUMNS + cells * (len(limits) + 2)).print(table)
    if _exact(comparison.found.result):
        print("scores are expectations: nothing is drawn, so fresh ones are the same")
    else:
        print("score: on the subnets searched with; fresh: on others, drawn after the search")
    print(f"random: {counted(count, 'space')} of the hyperspace")


def _heads(result: SpaceScore | CombinedScore) -> list[str]:
    if isinstance(result, CombinedScore):
        parts = result.parts
        return [f"{name} {limit.limit_ms:g}" for name, part in parts for limit in part.limits]
    return [f"{limit.limit_ms:g} ms" for limit in result.limits]


def _exact(result: SpaceScore | CombinedScore) -> bool:
    first = result.parts[0][1] if isinstance(result, CombinedScore) else result
    return isinstance(first, ExactScore)


def _cells(compared: Compared) -> list[str]:
    scores = [limit.score for limit in compared.result.limits]
    return list(map(_cell, (compared.result.score, compared.fresh_score, *scores)))


def _cell(score: float) -> str:
    return f"{score:.4f}"


def print_doubts(doubts: Sequence[StageSensitivity]) -> None:
    """Per stage, whether the choice stays the best where transferred losses are off."""
    asked = [d for d in doubts if d.rival is not None]
    if not asked:
        return
    head = (
        "The losses of some block types are transferred from another table. If they are off by "
        f"{UNCERTAINTIES:g} standard uncertainties against the choice of a stage:"
    )
    print(wrapped(head))
    for doubt in asked:
        print(wrapped(f"  {_doubted(doubt)}", "    "))


def _doubted(doubt: StageSensitivity) -> str:
    """A stage's line."""
    block, rival = str(doubt.block), str(doubt.rival)
    if doubt.transferred:
        block += " (transferred)"
    else:
        rival += " (transferred)"
    verdict = "stays the best" if doubt.survives else "is no longer the best"
    scores = f"{rival} would score {doubt.rival_score:.6g}, {doubt.block} {doubt.score:.6g}"
    return f"{doubt.stage}: {block} {verdict}: {scores}"
