"""spacedsl search: the best subnets of a trained supernet under latency limits, deployed."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, Device
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import tell
from spacedsl.cli.front import front_report, plot, print_front
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.options import LIMITS, TARGET
from spacedsl.cli.summary import command, say_next, took
from spacedsl.cli.watch import Terminal
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_folder
from spacedsl.flows.faults import need_training
from spacedsl.ir.space import Space
from spacedsl.search.subnets import POPULATION, ROUNDS, VALUES, WINDOW

if TYPE_CHECKING:
    from spacedsl.search.predicted import Predicting
    from spacedsl.search.subnets import EvolutionSettings


class By(StrEnum):
    """How subnets are searched."""

    prediction = "prediction"
    evolution = "evolution"


def search(
    run: Path = typer.Argument(..., metavar="RUN", help="A folder of `train` and `train --qat`."),
    target: str = TARGET,
    limits: str | None = LIMITS,
    out: Path = typer.Option(..., "--out", help="The folder for models and files."),
    by: By | None = typer.Option(
        None, "--by", help="Else prediction, or evolution where one of its options is said."
    ),
    values: int | None = typer.Option(
        None, "--values", min=1, help=f"Prediction: subnets valued in all, at most ({VALUES})."
    ),
    population: int | None = typer.Option(
        None, "--population", min=4, help=f"Evolution: subnets alive per limit ({POPULATION})."
    ),
    rounds: int | None = typer.Option(
        None, "--rounds", min=0, help=f"Evolution: rounds per limit ({ROUNDS})."
    ),
    window: float | None = typer.Option(
        None,
        "--window",
        min=0,
        max=1,
        help=f"Evolution: look this share of a limit below it ({WINDOW:g}).",
    ),
    images: int | None = typer.Option(
        None, "--images", min=1, help="Held-out images per subnet (all, at most 10,000)."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Of the search."),
    data: str | None = typer.Option(
        None, "--data", help="Where the training's data are now, if elsewhere."
    ),
    measure: float = typer.Option(
        0.0, "--measure", min=0, help="Time the files here for this many seconds; 0: do not."
    ),
    threads: int | None = typer.Option(None, "--threads", min=1, max=1024, help="Torch's threads."),
    where: Device = DEVICE,
    cache_gb: float = typer.Option(
        8.0, "--cache-gb", min=0, help="Keep up to so much of decoded images (in TMPDIR)."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the search in --out."),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Find a supernet's best subnets under INT8 latency limits, valued with the weights of QAT on
    held-out training images, and write them as pages and INT8 files. By prediction: some hundred
    subnets are valued, and in turn those that a model fitted to them predicts to be the best."""
    from spacedsl.flows.execution import Execution
    from spacedsl.flows.search import search as flow
    from spacedsl.flows.search import searched_device, trained_space

    need_training()
    check_folder(out)
    check_html(html, [target])
    began, quiet = time.monotonic(), format is Format.json
    space = trained_space(run)
    said = parse_limits(limits)
    method = _method(by, space, seed, values, population, rounds, window)
    found = flow(
        run,
        searched_device(api.load_target(target), space, Terminal()),
        out,
        method,
        limits_ms=said,
        data=data,
        images=images,
        measure_s=measure,
        execution=Execution(device=where.value, threads=threads),
        kept_bytes=int(cache_gb * 1e9),
        resume=resume,
        on_data=lambda opened, held_out: tell(opened, quiet=quiet, holdout=held_out),
        watch=Terminal(quiet),
    )
    drawn = plot(found)
    then = command("eval", out / found.models[-1].file, "--data", found.data)
    valued = len(found.valued)
    if quiet:
        emit({**found.front, "plot": drawn, "valued": valued, "out": str(out), "next": then})
    else:
        print_front(found)
        print(f"the accuracy of {counted(valued, 'network')} was measured; this took {took(began)}")
        print(f"pages and files are in {out}{_drawn(drawn)}")
    write_html(html, partial(front_report, found, made_by(found.target, seed=seed)), quiet=quiet)
    if not quiet:
        say_next(then)


def _drawn(drawn: str | None) -> str:
    return f", a plot is {drawn}" if drawn else "; a plot needs `pip install 'spacedsl[plot]'`"


def _method(
    by: By | None,
    space: Space,
    seed: int,
    values: int | None,
    population: int | None,
    rounds: int | None,
    window: float | None,
) -> Predicting | EvolutionSettings:
    """What the options ask for. Raises `SpaceError` where they do not go together."""
    from spacedsl.flows.search import predicting
    from spacedsl.search.subnets import EvolutionSettings

    asked = {"population": population, "rounds": rounds, "window": window}
    evolving = [name for name, value in asked.items() if value is not None]
    if (by or (By.evolution if evolving else By.prediction)) is By.evolution:
        if values is not None:
            help = "say --population, --rounds"
            raise fault("bad-option", "--values is of --by prediction", help)
        return EvolutionSettings(
            POPULATION if population is None else population,
            ROUNDS if rounds is None else rounds,
            WINDOW if window is None else window,
            seed,
        )
    if evolving:
        raise fault("bad-option", f"--{evolving[0]} is of --by evolution", "say --values")
    return predicting(space, values, seed)
