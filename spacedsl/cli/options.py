"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum

import typer

from spacedsl.search.combine import Combine


class Definition(StrEnum):
    """Which formula a score follows."""

    qt = "qt"
    authors = "authors"


TARGET = typer.Option(..., "--target", help="A target: a name (cpu, vnni, pixel4) or a page.")
TARGETS = typer.Option(
    ..., "--target", help="A target: a name (cpu, vnni, pixel4) or a page; again for several."
)
COMBINE = typer.Option(Combine.sum, "--combine", help="Several targets: sum or worst score.")
LIMITS = typer.Option(None, "--limits", help="Latency limits, e.g. 8,10,15ms; else the target's.")
QUALITY = typer.Option(None, "--quality", help="A quality table; else the hyperspace's.")
SCORER = typer.Option("model", "--scorer", help="model, or rows:DIR for a directory of tables.")
DEFINITION = typer.Option(Definition.qt, "--definition", help="authors: for comparison only.")
SAMPLES = typer.Option(None, "--samples", min=1, help="Subnets per space (5,000).")
BEST = typer.Option(None, "--best", min=1, help="How many of the best count (20).")
EXACT = typer.Option(False, "--exact", help="The expectation over subnets: no sampling, no seed.")
