"""spacedsl evolve: search a hyperspace for the space with the best networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from os.path import realpath
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
    EXACT,
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
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.space import Space
from spacedsl.lang.page import main_item
from spacedsl.lang.written import page_in
from spacedsl.search.combine import Combine
from spacedsl.syntax.lexer import is_name

if TYPE_CHECKING:
    from spacedsl.flows.evolve import Evolved
    from spacedsl.report.parts import Report


def evolve(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    targets: list[str] = TARGETS,
    combine: Combine = COMBINE,
    out: Path | None = typer.Option(None, "--out", help="Where to write the found space."),
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    definition: Definition = DEFINITION,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    weights: str | None = WEIGHTS,
    population: int = typer.Option(500, "--population", min=1, help="Spaces alive at a time."),
    sample: int = typer.Option(125, "--sample", min=1, help="Spaces that compete to be parent."),
    cycles: int = typer.Option(5000, "--cycles", min=1, help="Spaces scored in all."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the search and of its scores."),
    journal: Path | None = typer.Option(None, "--journal", help="Log every score, to resume from."),
    resume: bool = typer.Option(False, "--resume", help="Go on from the journal."),
    exact: bool = EXACT,
    refits: int = REFITS,
    models: Path | None = typer.Option(
        None, "--models", help="best: a folder for the best network under each limit."
    ),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Search a hyperspace by aging evolution (the method's Sec. 4.2); write the best space."""
    from spacedsl.cli.device import ready_devices
    from spacedsl.flows.evolve import evolve as flow
    from spacedsl.targets.open_scorer import Request

    require_definition(definition, scorer, samples, exact=exact)
    _check_models(models, by_best=definition is Definition.best)
    space = _hyperspace(hyper)
    _check_files(out, journal, hyper, targets)
    check_html(html, [hyper, *targets, *filter(None, (out, journal))])
    request = Request(
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        definition=definition.value,
        samples=samples,
        best=best,
        seed=seed,
        weights=parse_weights(weights),
    )
    devices = ready_devices(targets, space, request)

    def written(found: Space, comments: Sequence[str]) -> None:
        page = page_in(out.parent if out else Path(), found, hyper, comments)
        if out is not None:
            _save(out, page)
        elif format is Format.text:
            print(page)

    evolved = flow(
        space,
        devices,
        request,
        combine=combine,
        exact=exact,
        population=population,
        sample=sample,
        cycles=cycles,
        seed=seed,
        journal=journal,
        resume=resume,
        refits=refits,
        name=_name(out, space),
        on_found=written,
        watch=Terminal(quiet=format is Format.json),
    )
    written_models = [] if models is None else _write_models(models, evolved, hyper, out)
    page = page_in(out.parent if out else Path(), evolved.space, hyper, evolved.comments)
    if format is Format.json:
        emit(_json(evolved, page, out))
    else:
        _print(evolved)
    write_html(html, lambda: _report(evolved, page, seed), quiet=format is Format.json)
    if format is Format.text:
        say_next_of(evolved.space, out, written_models, targets[0], evolved.targets[0])


def _report(evolved: Evolved, page: str, seed: int) -> Report:
    from spacedsl.cli.best_result import corrected_lines
    from spacedsl.report.evolve import evolve_report

    said = [*corrected_lines(evolved.comparison), *refits_lines(evolved.refits)]
    return evolve_report(evolved, page, said, made_by(*evolved.targets, seed=seed))


def _json(evolved: Evolved, page: str, out: Path | None) -> dict[str, Any]:
    """Plain data without time or path but that of the found space's page, where it is written."""
    from spacedsl.cli import best_result
    from spacedsl.cli import qt_result as shown

    found, comparison = evolved.found, evolved.comparison
    result, stages = comparison.found.result, {}
    if evolved.scorer.settings.definition == "best":
        origin = (out.parent, str(out)) if out else (Path(), None)
        score = best_result.score_json(result, origin)
        compared = best_result.comparison_json(comparison, origin)
        stages = {"stages": [asdict(call) for call in evolved.calls]}
    else:
        score, compared = shown.qt_score_json(result), shown.comparison_json(comparison)
    several = {"pareto": [shown.front_json(one) for one in evolved.front]} if evolved.front else {}
    detail = {"full_detail": shown.full_json(evolved.finer)} if evolved.finer else {}
    return {
        "space": found.space.name,
        "hash": found.best.hash,
        **score,
        "spaces_scored": len(found.history),
        "exhausted": found.exhausted,
        "found_at": found.best.index,
        "comparison": compared,
        **stages,
        "sensitivity": [shown.doubt_json(d) for d in evolved.doubts],
        "page": page,
        **several,
        **detail,
        **refits_json(evolved.refits),
    }


def _print(evolved: Evolved) -> None:
    from spacedsl.cli import qt_result as shown
    from spacedsl.cli.best_result import print_best_of

    if evolved.scorer.settings.definition == "best":
        print_best_of(evolved)
        print("\n".join(refits_lines(evolved.refits)), end="\n" if evolved.refits else "")
    else:
        shown.print_comparison(evolved.comparison)
        shown.print_doubts(evolved.doubts)
    shown.print_full(evolved.finer)
    shown.print_front(evolved.front)


def _write_models(folder: Path, evolved: Evolved, hyper: str, out: Path | None) -> list[Path]:
    """The best networks' pages; without --out the space's page too, which they are of."""
    from spacedsl.cli.best_result import write_models

    folder.mkdir(parents=True, exist_ok=True)
    space, origin = evolved.space, out
    if origin is None:
        origin = folder / f"{space.name}.space"
        write_atomic(origin, page_in(folder, space, hyper, evolved.comments))
    return write_models(folder, space, evolved.by_target, str(origin))


def _check_models(models: Path | None, *, by_best: bool) -> None:
    if models is None:
        return
    if not by_best:
        message = "--models belongs to --definition best: other definitions find no networks"
        raise fault("bad-option", message, "leave it out, or leave --definition out")
    if models.exists() and not models.is_dir():
        raise fault("cannot-write", f"cannot write to {models}: it is no folder")


def _hyperspace(spec: str) -> Space:
    """The hyperspace of a page; where it has none, its space (whose only member is itself)."""
    page, item = api.open_page(spec)
    kinds = ("hyperspace",) if "hyperspace" in map(page.kind, page.names) else ("space",)
    found = page.get(item or main_item(page, kinds))
    if not isinstance(found, Space):
        raise fault("wrong-kind", f"{spec} is not a hyperspace")
    return found


def _check_files(
    out: Path | None, journal: Path | None, hyper: str, targets: Sequence[str]
) -> None:
    """What would fail or destroy something after the search fails before it."""
    if journal is not None:
        check_writable(journal)
    if out is None:
        return
    check_writable(out)
    others = {
        "journal": journal,
        "hyperspace": Path(api.split_item(hyper)[0]),
        **{f"target {target}": Path(target) for target in targets},
    }
    for what, other in others.items():
        if other is not None and realpath(out) == realpath(other):
            raise fault("same-file", f"--out would overwrite the {what} {other}")


def _name(out: Path | None, hyper: Space) -> str:
    """The found space is called after its file, so that `of` finds it there."""
    stem = out.stem if out is not None else "found"
    usable = is_name(stem) and stem != hyper.name
    return stem if usable else "found" if hyper.name != "found" else "found-space"


def _save(out: Path, page: str) -> None:
    """Write the page; where that fails, it is not lost."""
    try:
        write_atomic(out, page)
    except SpaceError:
        print(page)
        raise
