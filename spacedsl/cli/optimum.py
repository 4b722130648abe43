"""spacedsl optimum: the best space of a whole hyperspace, with a certificate."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.html import HTML, check_html, made_by, write_html
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
from spacedsl.cli.refits import refits_json, refits_lines
from spacedsl.cli.summary import say_next_of
from spacedsl.cli.watch import Terminal
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.identity import space_identity
from spacedsl.lang.write import write
from spacedsl.lang.written import page_in
from spacedsl.search.combine import Combine
from spacedsl.syntax.lexer import is_name

if TYPE_CHECKING:
    from spacedsl.cli.best import Origin
    from spacedsl.flows.optimum import Certified
    from spacedsl.ir.space import Space
    from spacedsl.report.parts import Report
    from spacedsl.search.combined import CombinedScore
    from spacedsl.search.exact.found import Optimum, Ranked
    from spacedsl.search.space_score import SpaceScore


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
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """The best spaces of a whole hyperspace, with a certificate: by their best networks, or by
    exact Q-T scores."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process per core, before numpy starts

    from spacedsl.cli.device import ready_devices
    from spacedsl.flows.optimum import optimum as flow
    from spacedsl.search.exact.executors import Processes, Ray
    from spacedsl.targets.open_scorer import Request

    require_definition(definition, scorer, samples, exact=False)
    if definition is Definition.authors:
        message = "an optimum is of the definition best or qt"
        raise fault("bad-option", message, "leave --definition out, or say --definition qt")
    _require_files(out, journal, resume=resume)
    check_html(html, [hyper, *targets, *filter(None, (out, journal))])
    space = api.load_space(hyper)
    request = Request(
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        samples=samples,
        best=best,
        definition="best" if definition is Definition.best else "qt",
        weights=parse_weights(weights),
    )
    devices = ready_devices(targets, space, request)
    found = flow(
        space,
        devices,
        request,
        combine=combine,
        executor=Ray(ray, jobs or None) if ray else Processes(jobs),
        journal=journal,
        resume=resume,
        top=top,
        seconds=math.inf if minutes is None else 60 * minutes,
        refits=refits,
        name=out.stem if out is not None and is_name(out.stem) else "optimum",
        watch=Terminal(quiet=format is Format.json),
    )
    folder = out.parent if out else Path()
    page = page_in(folder, found.space, hyper, found.comments)
    if out is not None:
        write_atomic(out, page)
    if format is Format.json:
        where = {"target": found.targets[0].name} if len(found.targets) == 1 else {}
        data = certificate(found.optimum, (folder, str(out) if out else None))
        emit({**data, **where, "page": page, **refits_json(found.refits)})
    else:
        if out is None:
            print(page)
        print("\n".join([*_lines(found.optimum), *refits_lines(found.refits)]))
    write_html(html, lambda: _report(found, space, page), quiet=format is Format.json)
    if format is Format.text:
        say_next_of(found.space, out, [], targets[0], found.targets[0])


def _report(found: Certified, hyper: Space, page: str) -> Report:
    from spacedsl.report.optimum import optimum_report

    said = refits_lines(found.refits)
    return optimum_report(found, hyper, page, said, made_by(*found.targets))


def _require_files(out: Path | None, journal: Path | None, *, resume: bool) -> None:
    """What would fail after the search fails before it."""
    for path in (out, journal):
        if path is not None:
            check_writable(path)
    if resume and journal is None:
        raise fault("no-journal", "there is no journal to resume from", "say --journal FILE")


def certificate(found: Optimum, origin: Origin = (Path(), None)) -> dict[str, Any]:
    """Plain data without time or path. `origin`: the folder that the networks' pages are read from,
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
        **_scores_json(found.result, origin),
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


def _scores_json(result: SpaceScore | CombinedScore, origin: Origin) -> dict[str, Any]:
    """Scores under each limit; on several targets, of each."""
    from spacedsl.cli.best_result import score_json
    from spacedsl.flows.open_scorers import by_target
    from spacedsl.search.combined import CombinedScore

    if by_target(result):
        return score_json(result, origin)
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
    from spacedsl.flows.open_scorers import by_target
    from spacedsl.flows.optimum import parts_said, unit_said

    score, scores = found.result.score, by_target(found.result)
    state = "complete" if found.complete else "NOT complete"
    pruned = sum(found.pruned.values())
    lines = [
        f"score {score:.6f} ({unit_said(scores)})"
        if scores
        else f"exact Q-T score {score:.6f} (error {found.best[0].error:.1e})",
        *(f"  {line}" for line in parts_said(found.result)),
    ]
    for name, part in scores.items():
        lines += [name, *limit_lines(part)] if name else limit_lines(part)
    lines += [
        f"certificate: {state}; no space scores more than {found.bound:.6f} "
        f"(gap {found.bound - score:.1e})",
        f"  {counted(found.size, 'space')}: {found.enumerated:,} scored, {pruned:,} pruned, "
        f"{found.open:,} left open",
        *(f"    {count:,} by {rule}" for rule, count in found.pruned.items() if count),
    ]
    lines += [f"  to within {found.precision:.0e} of the score"] if scores else _how_exact(found)
    lines.append(f"  tables {found.tables[:16]}")
    for place, ranked in enumerate(found.best[1:], 2):
        lines.append(f"  {place}. {space_identity(ranked.space)[:16]}  {ranked.result.score:.6f}")
    lines += [f"  rival {space_identity(r.space)[:16]}  {r.result.score:.6f}" for r in found.rivals]
    return lines


def _how_exact(found: Optimum) -> list[str]:
    """What the search by exact Q-T scores rests on."""
    lines = [
        f"  scores and bounds of the search within {found.precision:.1e} of themselves "
        f"(largest deviation seen {found.deviation:.1e});",
        f"  {found.rescored:,} within twice that of the best, scored again at full detail",
    ]
    if found.evolution is not None:
        lines.append(
            f"  aging evolution over {counted(found.cycles, 'space')} ended "
            f"{found.best[0].searched - found.evolution:.6f} below, at the detail of searches"
        )
    return lines
