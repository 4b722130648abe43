"""spacedsl evolve: search a hyperspace for the space with the best Q-T score."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.options import (
    BEST,
    DEFINITION,
    LIMITS,
    QUALITY,
    SAMPLES,
    SCORER,
    TARGET,
    Definition,
)
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import write_atomic
from spacedsl.ir.covers import mismatch
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.page import SUFFIX, library
from spacedsl.lang.write import write

if TYPE_CHECKING:
    from spacedsl.search.evolve import Found
    from spacedsl.search.qt_score import ModelScorer
    from spacedsl.search.scorer import Scorer


def evolve(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    target: str = TARGET,
    out: Path | None = typer.Option(None, "--out", help="Where to write the found space."),
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    definition: Definition = DEFINITION,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    population: int = typer.Option(500, "--population", min=1, help="Spaces alive at a time."),
    sample: int = typer.Option(125, "--sample", min=1, help="Spaces that compete to be parent."),
    cycles: int = typer.Option(5000, "--cycles", min=1, help="Spaces scored in all."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the search and of its scores."),
    journal: Path | None = typer.Option(None, "--journal", help="Log every score, to resume from."),
    resume: bool = typer.Option(False, "--resume", help="Go on from the journal."),
    format: Format = FORMAT,
) -> None:
    """Search a hyperspace by aging evolution (the method's Sec. 4.2); write the best space."""
    from spacedsl.cli.found import print_comparison, print_doubts, progress_bar, result_json
    from spacedsl.search.compare import compare, sensitivity
    from spacedsl.search.evolve import evolve as search
    from spacedsl.targets.scorers import Request, open_scorer

    if out is not None and not out.parent.is_dir():
        raise fault("cannot-write", f"{out.parent} is not a directory")
    space, device = api.load_space(hyper), api.load_target(target)
    request = Request(
        target=device,
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        definition=definition.value,
        samples=samples,
        best=best,
        seed=seed,
    )
    opened = open_scorer(space, request)
    with progress_bar(quiet=format is Format.json) as progress:
        found = search(space, opened, population, sample, cycles, seed, journal, resume, progress)
    comparison = compare(opened, found.space, _reference(device, space), seed=seed)
    doubts = sensitivity(opened, opened.quality, found.space) if _has_quality(opened) else ()
    comments = _comments(found, opened, device, population, sample, seed)
    page = write(found.space, comments=comments, uses=_uses(hyper, space, out))
    if out is not None:
        write_atomic(out, page)
    if format is Format.json:
        emit(result_json(found, comparison, doubts, page))
        return
    if out is None:
        print(page)
    print_comparison(comparison)
    print_doubts(doubts)


def _has_quality(scorer: Scorer) -> TypeGuard[ModelScorer]:
    return scorer.name == "model"


def _reference(target: Target, hyper: Space) -> Space | None:
    """The target's published space, where it is one of the hyperspace searched."""
    if target.reference is None:
        return None
    reference = api.load_space(target.reference)
    return reference if mismatch(hyper, reference) is None else None


def _comments(
    found: Found, scorer: Scorer, target: Target, population: int, sample: int, seed: int
) -> list[str]:
    """How the space was found: what is needed to find it again, and no time or path."""
    chosen, limits = scorer.settings, ", ".join(f"{t:g}" for t in scorer.limits_ms)
    identity = scorer.identity
    return [
        f"Found by aging evolution in {scorer.hyper.name} for {target.name}: {target.device}.",
        f"{len(found.history):,} spaces scored; population {population}, sample {sample}, "
        f"seed {seed}.",
        f"Q-T score {found.score:.6f} over limits {limits} ms: scorer {scorer.name}, "
        f"definition {chosen.definition},",
        f"{chosen.samples:,} subnets per space, best {chosen.best}.",
        f"hyperspace {str(identity['hyperspace'])[:16]}  latency {str(identity['latency'])[:16]}  "
        f"quality {str(identity['quality'])[:16]}",
    ]


def _uses(page: str, hyper: Space, out: Path | None) -> tuple[str, ...]:
    """The `use` that finds the hyperspace from the found page's folder, where its name does not."""
    path = Path(page.partition("#")[0])
    if not path.is_file() or _same_in(library(), hyper):
        return ()
    folder = out.parent if out else Path()
    if _same_in(folder, hyper):
        return ()
    return (Path(os.path.relpath(path, folder)).as_posix(),)


def _same_in(folder: Path, hyper: Space) -> bool:
    path = folder / f"{hyper.name}{SUFFIX}"
    try:
        known = api.load_space(path) if path.is_file() else None
    except SpaceError:
        return False
    return known is not None and space_identity(known) == space_identity(hyper)
