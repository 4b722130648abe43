"""spacedsl evolve: search a hyperspace for the space with the best networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.exact_needs import say_needs
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
from spacedsl.cli.pages import page_in
from spacedsl.cli.refits import refits_json, refits_lines, refitted_search, require_refits
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.covers import mismatch
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.page import main_item
from spacedsl.search.combine import Combine
from spacedsl.syntax.lexer import is_name

if TYPE_CHECKING:
    from spacedsl.search.best.refits import Refit
    from spacedsl.search.combined import CombinedScorer
    from spacedsl.search.compare import Comparison
    from spacedsl.search.evolve import Found
    from spacedsl.search.qt_score import ModelScorer, RowsScorer
    from spacedsl.search.scorer import Scorer


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
    format: Format = FORMAT,
) -> None:
    """Search a hyperspace by aging evolution (the method's Sec. 4.2); write the best space."""
    from spacedsl.cli.found import progress_bar
    from spacedsl.cli.several import joined, ready_targets
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.search.compare import compare
    from spacedsl.search.evolve import evolve as search
    from spacedsl.search.exact.searching import search_scorer
    from spacedsl.targets.scorers import Request, open_scorers

    require_definition(definition, scorer, samples, exact=exact)
    by_best = definition is Definition.best
    _check_models(models, by_best=by_best)
    space = _hyperspace(hyper)
    _check_files(out, journal, hyper, targets)
    devices = ready_targets(targets, space, limits)
    reference = next(filter(None, (_reference(device, space) for device in devices)), None)
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
    if exact:
        say_needs(space, paired=False)
    tables = open_scorers(space, devices, request)
    again = require_refits(refits, tables, by_best=by_best)
    kinds = {n: BestScorer(t) if by_best else t for n, t in tables.items()}
    scorers = {n: search_scorer(t) if exact else kinds[n] for n, t in tables.items()}
    opened = joined(scorers, combine)
    name = _name(out, space)
    what = "score" if by_best else "Q-T score"
    with progress_bar(what, cycles, quiet=format is Format.json) as progress:
        found = search(
            space, opened, population, sample, cycles, seed, journal, resume, progress, name
        )
    comments = _comments(found, opened, devices, population, sample, seed)
    page = page_in(out.parent if out else Path(), found.space, hyper, comments)
    if out is not None:
        _save(out, page)
    elif format is Format.text:
        print(page)
    comparison = compare(opened, found.space, reference, seed=seed)
    outcome = Outcome(found, opened, comparison, page, out)
    refit = refitted_search(
        opened,
        found.space,
        again,
        lambda other: search(space, other, population, sample, cycles, seed).space,
        quiet=format is Format.json,
    )
    if models is not None:
        _write_models(models, outcome, hyper, comments)
    _show(outcome, refit, tables, format, exact=exact)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search ended with; `page`: the found space's, written to `out` where one is given."""

    found: Found
    scorer: Scorer | CombinedScorer
    comparison: Comparison
    page: str
    out: Path | None


def _show(
    outcome: Outcome,
    refits: Sequence[Refit],
    tables: Mapping[str, ModelScorer | RowsScorer],
    format: Format,
    *,
    exact: bool,
) -> None:
    """Print the result, as a table or as JSON."""
    from spacedsl.cli import found as shown
    from spacedsl.cli.found_best import best_json_of, print_best_of
    from spacedsl.search.combined import CombinedScorer
    from spacedsl.search.compare import sensitivity
    from spacedsl.search.exact.scorer import ExactScorer
    from spacedsl.search.qt_score import ModelScorer

    found, scorer, comparison = outcome.found, outcome.scorer, outcome.comparison
    by_best = scorer.settings.definition == "best"
    first = next(iter(tables.values()))
    known = first.quality if isinstance(first, ModelScorer) else None
    doubts = sensitivity(scorer, known, found.space) if known else ()
    front = shown.front_json(found, scorer) if isinstance(scorer, CombinedScorer) else []
    finer = {n: ExactScorer(t).score(found.space) for n, t in tables.items()} if exact else {}
    if format is Format.json:
        several = {"pareto": front} if front else {}
        detail = {"full_detail": shown.full_json(finer)} if finer else {}
        if by_best:
            data = best_json_of(found, scorer, comparison, outcome.out)
        else:
            data = shown.result_json(found, comparison)
        doubted = {"sensitivity": [shown.doubt_json(d) for d in doubts], "page": outcome.page}
        emit({**data, **doubted, **several, **detail, **refits_json(refits)})
        return
    if by_best:
        print_best_of(found, scorer, comparison)
        print("\n".join(refits_lines(refits)), end="\n" if refits else "")
    else:
        shown.print_comparison(comparison)
    shown.print_full(finer)
    shown.print_front(front)
    shown.print_doubts(doubts)


def _write_models(folder: Path, outcome: Outcome, hyper: str, comments: Sequence[str]) -> None:
    """The best networks' pages; without --out the space's page too, which they are of."""
    from spacedsl.cli.found_best import by_target, write_models

    folder.mkdir(parents=True, exist_ok=True)
    space, origin = outcome.found.space, outcome.out
    if origin is None:
        origin = folder / f"{space.name}.space"
        write_atomic(origin, page_in(folder, space, hyper, comments))
    write_models(folder, space, by_target(outcome.comparison.found.result), str(origin))


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


def _reference(target: Target, hyper: Space) -> Space | None:
    """The target's published space, where it is one of the hyperspace searched and keeps its
    limit."""
    if target.reference is None:
        return None
    reference = api.load_space(target.reference)
    if mismatch(hyper, reference) is not None or not _keeps(hyper, reference):
        return None
    return reference


def _keeps(hyper: Space, space: Space) -> bool:
    """Whether every network of a space keeps a hyperspace's limit."""
    if hyper.limit is None:
        return True
    from spacedsl.passes.extremes import cost_range

    limit, costs = hyper.limit, cost_range(space)
    most = (limit.flops, limit.params, limit.memory)
    greatest = (costs.flops.greatest, costs.params.greatest, costs.memory.greatest)
    return all(m is None or g <= m for m, g in zip(most, greatest, strict=True))


def _comments(
    found: Found,
    scorer: Scorer | CombinedScorer,
    targets: Sequence[Target],
    population: int,
    sample: int,
    seed: int,
) -> list[str]:
    """How the space was found: what is needed to find it again, and no time or path."""
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.search.scorer import Scorer

    parts = [scorer] if isinstance(scorer, Scorer) else list(scorer.parts.values())
    chosen = parts[0].settings
    by_best = chosen.definition == "best"
    total = f"{'Score' if by_best else 'Q-T score'} {found.score:.6f}"
    lines = [
        f"{len(found.history):,} spaces scored; population {population}, sample {sample}, "
        f"seed {seed}."
    ]
    if not isinstance(scorer, Scorer):
        lines.append(f"{total}: {scorer.combine.value} of {len(parts)} targets' scores.")
    for target, part in zip(targets, parts, strict=True):
        limits = _listed(part.limits_ms)
        where = total if len(parts) == 1 else target.name
        lines.append(
            f"{where} over limits {limits} ms: scorer {part.name}, definition {chosen.definition},"
        )
    if by_best:
        unit = parts[0].unit if isinstance(parts[0], BestScorer) else ""
        weights = "" if set(chosen.weights) == {1.0} else f", weights {_listed(chosen.weights)}"
        lines.append(f"{unit} of the best {chosen.best} of all networks per limit{weights}.")
    else:
        drawn = f"{chosen.samples:,} subnets per space{_expected(parts[0].identity)}"
        lines.append(f"{drawn}, best {chosen.best}.")
    lines += [
        f"hyperspace {str(part.identity['hyperspace'])[:16]}  "
        f"latency {str(part.identity['latency'])[:16]}  "
        f"quality {str(part.identity['quality'])[:16]}"
        for part in parts
    ]
    first, *others = targets
    where = f"Found by aging evolution in {scorer.hyper.name} for "
    more = [f"and {target.name}: {target.device}." for target in others]
    return [f"{where}{first.name}: {first.device}.", *more, *lines]


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _expected(identity: dict[str, object]) -> str:
    return " (their expectation, not a sample)" if "exact" in identity else ""
