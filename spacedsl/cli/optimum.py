"""spacedsl optimum: the best space of a whole hyperspace, with a certificate."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.options import BEST, LIMITS, QUALITY, SAMPLES, SCORER, TARGET
from spacedsl.cli.pages import check_out
from spacedsl.files import write_atomic
from spacedsl.ir.identity import space_identity
from spacedsl.lang.write import write

if TYPE_CHECKING:
    from spacedsl.search.exact.optimum import Optimum, Progress


def optimum(
    hyper: str = typer.Option(..., "--hyper", help="A hyperspace: a page or a library name."),
    target: str = TARGET,
    out: Path | None = typer.Option(None, "--out", help="Where to write the best space."),
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    jobs: int = typer.Option(0, "--jobs", min=0, help="Processes; 0: one per core."),
    journal: Path | None = typer.Option(None, "--journal", help="Log tasks, to resume from."),
    resume: bool = typer.Option(False, "--resume", help="Go on from the journal."),
    format: Format = FORMAT,
) -> None:
    """The best space of a whole hyperspace by exact Q-T scores, with a certificate."""
    from rich.console import Console

    from spacedsl.cli.device import ready_target
    from spacedsl.search.exact.optimum import optimum as search
    from spacedsl.search.exact.scorer import ExactScorer
    from spacedsl.targets.scorers import Request, open_scorer

    if out is not None:
        check_out(out)
    space = api.load_space(hyper)
    device = ready_target(target, space, quiet=format is Format.json)
    request = Request(
        target=device,
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        samples=samples,
        best=best,
    )
    opened = ExactScorer(open_scorer(space, request), searching=True)
    console = Console(stderr=True)
    with console.status("preparing the stages") as status:

        def show(reached: Progress) -> None:
            status.update(
                f"{reached.tasks} of {reached.of} tasks, {reached.spaces:,} spaces, best exact "
                f"Q-T score {reached.best:.6f}"
            )

        name = out.stem if out is not None and out.stem.isidentifier() else "optimum"
        found = search(opened, jobs or os.cpu_count() or 1, journal, resume, show, name)
    page = write(found.space, comments=_comments(found, device.name, opened.identity))
    if out is not None:
        write_atomic(out, page)
    if format is Format.json:
        emit({**certificate(found), "target": device.name, "page": page})
        return
    if out is None:
        print(page)
    print("\n".join(_lines(found)))


def certificate(found: Optimum) -> dict[str, Any]:
    """Plain data without time or path."""
    return {
        "space": found.space.name,
        "hash": space_identity(found.space),
        "score": found.result.score,
        "error": found.result.error,
        "limits": [asdict(limit) for limit in found.result.limits],
        "bound": found.bound,
        "gap": found.bound - found.result.score,
        "spaces": found.size,
        "enumerated": found.enumerated,
        "pruned": {},
        "rescored": found.rescored,
        "precision": found.precision,
        "complete": found.complete,
        "rivals": [{"hash": hash, "score": score} for hash, score in found.rivals],
    }


def _lines(found: Optimum) -> list[str]:
    state = "complete" if found.complete else "NOT complete: too many spaces are as good"
    return [
        f"exact Q-T score {found.result.score:.6f} (error {found.result.error:.1e})",
        f"certificate: {state}; no space scores more than {found.bound:.6f}",
        f"  {found.enumerated:,} of {found.size:,} spaces enumerated, none pruned;",
        f"  scores of the enumeration within {found.precision:.1e} of themselves;",
        f"  {found.rescored:,} within twice that of the best, scored again at full detail",
        *(f"  rival {hash[:16]}  {score:.6f}" for hash, score in found.rivals),
    ]


def _comments(found: Optimum, target: str, identity: dict[str, object]) -> list[str]:
    limits = ", ".join(f"{t.limit_ms:g}" for t in found.result.limits)
    return [
        f"Best of {found.size:,} spaces for {target} over limits {limits} ms, all enumerated.",
        f"Exact Q-T score {found.result.score:.6f}, scorer {found.result.scorer}.",
        f"hyperspace {str(identity['hyperspace'])[:16]}  latency {str(identity['latency'])[:16]}  "
        f"quality {str(identity['quality'])[:16]}",
    ]
