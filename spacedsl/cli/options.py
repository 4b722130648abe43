"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum

import typer

from spacedsl.diagnostics import fault
from spacedsl.runtimes.table import BUILT_IN
from spacedsl.search.combine import Combine


class Definition(StrEnum):
    """Which formula a score follows."""

    best = "best"
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
DEFINITION = typer.Option(
    Definition.best,
    "--definition",
    help="best: the best networks there are; qt: the paper's Q-T score; authors: their code's.",
)
SAMPLES = typer.Option(None, "--samples", min=1, help="qt: subnets per space (5,000).")
BEST = typer.Option(None, "--best", min=1, help="How many of the best count (1; qt: 20).")
WEIGHTS = typer.Option(None, "--weights", help="best: a weight per limit, e.g. 1,1,2.")
REFITS = typer.Option(
    0,
    "--refits",
    min=0,
    help="best: search again by so many refits of the quality table to resampled data, and say how "
    "often the found space stays the best.",
)
ON = typer.Option(
    None,
    "--on",
    metavar="WHERE",
    help="Another machine: ssh://USER@HOST[:PORT], or adb:SERIAL. It needs Python, numpy and the "
    "runtime, or LiteRT's benchmark program.",
)
MEASURED = typer.Argument(..., metavar="TARGET", help="A target: a name (cpu) or a page.")
MEMBERS_OF = typer.Option(None, "--space", help="Members of this space; may be said again.")
MEASURED_SPACES = "hyper,onnxw,mobilew,mobilenetv3,proxylessnas,attentivenas,resnet50"
"""Whose members are measured where no space is named: the library's."""

RUNTIME = typer.Option(
    None,
    "--runtime",
    help=f"What runs it: {', '.join(BUILT_IN)}; else the usual one of the file's format.",
)
EXACT = typer.Option(False, "--exact", help="qt: the expectation over subnets, no sampling.")


def require_definition(
    definition: Definition, scorer: str, samples: int | None, *, exact: bool
) -> None:
    """Raises `SpaceError` where options belong to another definition."""
    if definition is not Definition.best:
        if exact and definition is not Definition.qt:
            message = "an exact score is of the definition qt"
            raise fault("bad-option", message, "leave --exact out, or say --definition qt")
        return
    given = {"--scorer rows": scorer != "model", "--samples": samples is not None, "--exact": exact}
    for option, said in given.items():
        if said:
            message = f"{option} belongs to --definition qt, and this score's definition is best"
            raise fault("bad-option", message, f"say --definition qt, or leave {option} out")
