"""spacedsl optimum: the best space of a whole hyperspace, with a certificate."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.exact_needs import say_needs
from spacedsl.cli.limits import parse_limits, parse_weights
from spacedsl.cli.options import (
    BEST,
    COMBINE,
    DEFINITION,
    LIMITS,
    QUALITY,
    REFITS,
    SAMPLES,
    SCORER,
    TARGETS,
    WEIGHTS,
    Definition,
    require_definition,
)
from spacedsl.cli.pages import page_in
from spacedsl.cli.refits import refits_json, refits_lines, refitted_search, require_refits
from spacedsl.diagnostics import fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.identity import space_identity
from spacedsl.lang.write import write
from spacedsl.search.combine import Combine
from spacedsl.syntax.lexer import is_name

if TYPE_CHECKING:
    from spacedsl.search.best.score import BestScore
    from spacedsl.search.combined import CombinedScore
    from spacedsl.search.exact.found import Optimum, Progress, Ranked
    from spacedsl.search.score import QTScore
    from spacedsl.search.scorer import Scorer


Place = tuple[Path, str | None]


def optimum(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    targets: list[str] = TARGETS,
    combine: Combine = COMBINE,
    out: Path | None = typer.Option(None, "--out", help="Where to write the best space."),
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    definition: Definition = DEFINITION,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    weights: str | None = WEIGHTS,
    top: int = typer.Option(1, "--top", min=1, max=100, help="How many of the best spaces."),
    jobs: int = typer.Option(0, "--jobs", min=0, help="Processes; 0: one per core."),
    ray: str | None = typer.Option(None, "--ray", help="A Ray cluster's address, or local."),
    minutes: float | None = typer.Option(
        None, "--minutes", min=0, help="Stop after this time and state the gap that is left."
    ),
    journal: Path | None = typer.Option(None, "--journal", help="Log work, to resume from."),
    resume: bool = typer.Option(False, "--resume", help="Go on from the journal."),
    refits: int = REFITS,
    format: Format = FORMAT,
) -> None:
    """The best spaces of a whole hyperspace, with a certificate: by their best networks, or by
    exact Q-T scores."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process per core, before numpy starts

    from rich.console import Console

    from spacedsl.cli.several import joined, ready_targets
    from spacedsl.search.best.optimum import best_optimum
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.search.exact.executors import Processes, Ray
    from spacedsl.search.exact.optimum import optimum as optimum_by_qt
    from spacedsl.search.exact.scorer import ExactScorer
    from spacedsl.targets.scorers import Request, open_scorers

    require_definition(definition, scorer, samples, exact=False)
    if definition is Definition.authors:
        message = "an optimum is of the definition best or qt"
        raise fault("bad-option", message, "leave --definition out, or say --definition qt")
    by_best = definition is Definition.best
    if out is not None:
        check_writable(out)
    if journal is not None:
        check_writable(journal)
    if resume and journal is None:
        raise fault("no-journal", "there is no journal to resume from", "say --journal FILE")
    space = api.load_space(hyper)
    devices = ready_targets(targets, space, limits)
    request = Request(
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        samples=samples,
        best=best,
        definition="best" if by_best else "qt",
        weights=parse_weights(weights),
    )
    if not by_best:
        say_needs(space, paired=True)
    tables = open_scorers(space, devices, request)
    again = require_refits(refits, tables, by_best=by_best)
    scorers: dict[str, Scorer] = {
        name: BestScorer(table) if by_best else ExactScorer(table, searching=True)
        for name, table in tables.items()
    }
    opened = joined(scorers, combine)
    console = Console(stderr=True)
    with console.status("preparing the stages") as status:

        def show(reached: Progress) -> None:
            status.update(
                f"{reached.phase}: {reached.done} of {reached.of}, {reached.decided:,} spaces "
                f"decided, best score {reached.best:.6f}, bound {reached.bound:.6f}"
            )

        executor = Ray(ray, jobs or None) if ray else Processes(jobs or os.cpu_count() or 1)
        name = out.stem if out is not None and is_name(out.stem) else "optimum"
        seconds = math.inf if minutes is None else 60 * minutes
        options = (executor, journal, resume, show, name, top, seconds)
        found = best_optimum(opened, *options) if by_best else optimum_by_qt(opened, *options)
    refit = refitted_search(
        opened,
        found.space,
        again,
        lambda other: best_optimum(other, executor, seconds=seconds).space,
        quiet=format is Format.json,
    )
    comments = _comments(found, scorers)
    page = page_in(out.parent if out else Path(), found.space, hyper, comments)
    if out is not None:
        write_atomic(out, page)
    if format is Format.json:
        where = {"target": devices[0].name} if len(devices) == 1 else {}
        folder = out.parent if out else Path()
        data = certificate(found, (folder, str(out) if out else None))
        emit({**data, **where, "page": page, **refits_json(refit)})
        return
    if out is None:
        print(page)
    print("\n".join([*_lines(found), *refits_lines(refit)]))


def certificate(found: Optimum, place: Place = (Path(), None)) -> dict[str, Any]:
    """Plain data without time or path. `place`: the folder that the networks' pages are read from,
    and the best space's page there."""
    evolution = None
    if found.evolution is not None:
        evolution = {
            "spaces": found.cycles,
            "score": found.evolution,
            "below": found.best[0].searched - found.evolution,
        }
    return {
        "space": found.space.name,
        "hash": space_identity(found.space),
        "score": found.result.score,
        "error": found.best[0].error,
        **_scores_json(found.result, place),
        "bound": found.bound,
        "gap": found.bound - found.result.score,
        "complete": found.complete,
        "spaces": found.size,
        "enumerated": found.enumerated,
        "pruned": found.pruned,
        "open": found.open,
        "rescored": found.rescored,
        "precision": found.precision,
        "deviation": found.deviation,
        "tables": found.tables,
        "evolution": evolution,
        "top": [_ranked_json(ranked) for ranked in found.best],
        "rivals": [_ranked_json(ranked) for ranked in found.rivals],
    }


def _scores_json(result: QTScore | CombinedScore, place: Place) -> dict[str, Any]:
    """Scores under each limit; on several targets, of each."""
    from spacedsl.cli.found_best import by_target, score_json
    from spacedsl.search.combined import CombinedScore

    if by_target(result):
        return score_json(result, place)
    if not isinstance(result, CombinedScore):
        return {"limits": [asdict(limit) for limit in result.limits]}
    parts = [
        {"target": name, "score": part.score, "limits": [asdict(limit) for limit in part.limits]}
        for name, part in result.parts
    ]
    return {"combine": result.combine.value, "targets": parts}


def _ranked_json(ranked: Ranked) -> dict[str, Any]:
    score = {"score": ranked.result.score, "error": ranked.error}
    return {"hash": space_identity(ranked.space), **score, "page": write(ranked.space)}


def _lines(found: Optimum) -> list[str]:
    from spacedsl.cli.best import limit_lines
    from spacedsl.cli.found_best import by_target

    score, scores = found.result.score, by_target(found.result)
    state = "complete" if found.complete else "NOT complete"
    pruned = sum(found.pruned.values())
    lines = [
        f"score {score:.6f} ({_unit(scores)})"
        if scores
        else f"exact Q-T score {score:.6f} (error {found.best[0].error:.1e})",
        *_by_target(found.result),
    ]
    for name, part in scores.items():
        lines += [name, *limit_lines(part)] if name else limit_lines(part)
    lines += [
        f"certificate: {state}; no space scores more than {found.bound:.6f} "
        f"(gap {found.bound - score:.1e})",
        f"  {found.size:,} spaces: {found.enumerated:,} scored, {pruned:,} pruned, "
        f"{found.open:,} left open",
        *(f"    {count:,} by {rule}" for rule, count in found.pruned.items() if count),
    ]
    lines += [f"  to within {found.precision:.0e} of the score"] if scores else _how_exact(found)
    lines.append(f"  tables {found.tables[:16]}")
    for place, ranked in enumerate(found.best[1:], 2):
        lines.append(f"  {place}. {space_identity(ranked.space)[:16]}  {ranked.result.score:.6f}")
    lines += [f"  rival {space_identity(r.space)[:16]}  {r.result.score:.6f}" for r in found.rivals]
    return lines


def _unit(scores: Mapping[str, BestScore]) -> str:
    first = next(iter(scores.values()))
    return f"{first.unit} of the best {first.best} of all networks, summed over the limits"


def _how_exact(found: Optimum) -> list[str]:
    """What the search by exact Q-T scores rests on."""
    lines = [
        f"  scores and bounds of the search within {found.precision:.1e} of themselves "
        f"(largest deviation seen {found.deviation:.1e});",
        f"  {found.rescored:,} within twice that of the best, scored again at full detail",
    ]
    if found.evolution is not None:
        lines.append(
            f"  aging evolution over {found.cycles:,} spaces ended "
            f"{found.best[0].searched - found.evolution:.6f} below, at the detail of searches"
        )
    return lines


def _by_target(result: QTScore | CombinedScore) -> list[str]:
    from spacedsl.search.combined import CombinedScore

    if not isinstance(result, CombinedScore):
        return []
    listed = ", ".join(f"{name} {part.score:.6f}" for name, part in result.parts)
    return [f"  {result.combine.value} of {len(result.parts)} targets: {listed}"]


def _comments(found: Optimum, scorers: Mapping[str, Scorer]) -> list[str]:
    from spacedsl.cli.found_best import by_target

    how = "with a proof" if found.complete else f"known to {found.bound - found.result.score:.1e}"
    lines = [f"Best of {found.size:,} spaces for {' and '.join(scorers)}, {how}."]
    lines += [line.strip().capitalize() + "." for line in _by_target(found.result)]
    kind, scores = next(iter(scorers.values())).name, by_target(found.result)
    if scores:
        lines.append(f"Score {found.result.score:.6f}: {_unit(scores)}.")
    else:
        lines.append(f"Exact Q-T score {found.result.score:.6f}, scorer {kind}.")
    for name, part in scorers.items():
        limits = ", ".join(f"{limit:g}" for limit in part.limits_ms)
        hashes = (f"{k} {str(part.identity[k])[:16]}" for k in ("hyperspace", "latency", "quality"))
        lines += [f"{name}: limits {limits} ms", "  ".join(hashes)]
    return lines
