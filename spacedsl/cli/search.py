"""spacedsl search: the best subnets of a trained supernet under latency limits, deployed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.accelerator import DEVICE, Device, precision_of
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import tell
from spacedsl.cli.front import front_report, measured, plot, print_front, write_front
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.options import LIMITS, TARGET
from spacedsl.cli.runs import warned
from spacedsl.cli.summary import command, say_next, took
from spacedsl.cli.valuing import Valuing, searched
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder, write_atomic
from spacedsl.flows.deployment import Deployment
from spacedsl.flows.faults import need_training, runtime_faults
from spacedsl.ir.for_data import for_data
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.written import page_in
from spacedsl.search.subnets import POPULATION, ROUNDS, VALUES, WINDOW

if TYPE_CHECKING:
    from spacedsl.search.predicted import Predicting
    from spacedsl.search.protocols import LatencyModel
    from spacedsl.search.subnets import Best, Plan
    from spacedsl_runtime.train.choose import Chooser

JOURNAL = "search.jsonl"
"""In --out: the accuracy of every subnet that was valued."""


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
    from spacedsl.compiler.export import FILES
    from spacedsl.runtimes.table import runtime_of
    from spacedsl.search.exact.task_log import TaskLog
    from spacedsl.search.subnets import require_limits
    from spacedsl.targets.device import open_device
    from spacedsl.targets.ranges import latency_range
    from spacedsl.targets.subnet_latency import SubnetLatency

    need_training()
    check_folder(out)
    check_html(html, [target])
    began, quiet = time.monotonic(), format is Format.json
    space = _trained(run)
    said, plan = parse_limits(limits), _plan(by, space, seed, values, population, rounds, window)
    device = open_device(_ready(target, space))
    suffix = runtime_of(device.target).format
    FILES[suffix].need()
    asked = said or device.limits_ms
    with runtime_faults(), _kernels(where):
        chooser = _chooser(
            run, space, device.target, data, images, threads, where, int(cache_gb * 1e9)
        )
        known = latency_range(space, device.latency)
        if known.least_ms is None or known.greatest_ms is None:
            listed = "; ".join(map(str, known.missing[:20]))
            raise fault("uncovered", f"{device.target.name} does not know {listed}")
        range_ms = (known.least_ms, known.greatest_ms)
        require_limits(space, asked, range_ms)
        out.mkdir(parents=True, exist_ok=True)
        header = {
            **chooser.identity,
            "target": device.target.name,
            "latency": device.latency.identity,
            "limits_ms": list(asked),
            **asdict(plan),
        }
        tell(chooser.data, quiet=quiet, holdout=chooser.identity["images"])
        with TaskLog(out / JOURNAL, header, resume, "subnets") as log:
            search = _searching(space, asked, range_ms, device.latency, plan, chooser)
            most = plan.most(len(asked))
            ms = SubnetLatency(space, device.latency)
            found, seen = searched(search, chooser, log, most, ms, quiet=quiet)
            deployed = _deployed(found, chooser, device.target, out, suffix)
    front = write_front(out, deployed, header)
    if measure:
        front = measured(out, front, device.target, measure)
    drawn = plot(out, front, deployed, seen, device.target)
    then = command("eval", out / deployed[-1].file, "--data", chooser.data.spec)
    if format is Format.json:
        emit({**front, "plot": drawn, "valued": len(log.held), "out": str(out), "next": then})
    else:
        print_front(front)
        print(f"{len(log.held):,} subnets valued; pages and files in {out}{_drawn(drawn)}")
        print(f"took {took(began)}")
    about = space, device.target, deployed, seen, made_by(device.target, seed=seed)
    write_html(html, partial(front_report, out, front, *about), quiet=quiet)
    if not quiet:
        say_next(then)


def _drawn(drawn: str | None) -> str:
    return f", plot in {drawn}" if drawn else "; a plot needs `pip install 'spacedsl[plot]'`"


def _trained(run: Path) -> Space:
    """The space of a run, as its own page says it, with the channels and classes of the data."""
    from spacedsl_runtime.train.quantise import trained_on

    page = run / "resolved.space"
    if not page.is_file():
        help = "train it: `spacedsl train SPACE --data D --out RUN`, then with --qat"
        raise fault("bad-run", f"{run} holds no training", help)
    with runtime_faults():
        return for_data(api.load_space(str(page)), *trained_on(run))


def _ready(name: str, space: Space) -> Target:
    """The target; where it is this machine and does not know the space yet, it is profiled."""
    from spacedsl.cli.device import ready_target
    from spacedsl.targets.device import knows

    found = api.load_target(name)
    return found if knows(found, space) else ready_target(name, space)


def _chooser(
    run: Path,
    space: Space,
    target: Target,
    data: str | None,
    images: int | None,
    threads: int | None,
    where: Device,
    kept_bytes: int,
) -> Chooser:
    import torch

    from spacedsl.compiler.supernet import supernet_plan
    from spacedsl_runtime.data.split import Unreadables, unreadable_limit
    from spacedsl_runtime.train.choose import IMAGES, open_chooser
    from spacedsl_runtime.train.device import device_of

    if threads is not None:
        torch.set_num_threads(threads)
    plan = supernet_plan(space, target)
    unreadable = Unreadables(unreadable_limit(images or IMAGES), warned)
    here = device_of(where.value)
    return open_chooser(run, plan, data, images, unreadable, here, kept_bytes)


@contextmanager
def _kernels(where: Device) -> Iterator[None]:
    """Those that give the same accuracies each time."""
    from spacedsl_runtime.train.device import device_of, kernels

    with kernels(device_of(where.value), precision_of(None, where, quantised=True), True):
        yield


def _plan(
    by: By | None,
    space: Space,
    seed: int,
    values: int | None,
    population: int | None,
    rounds: int | None,
    window: float | None,
) -> Predicting | Plan:
    """What the options ask for. Raises `SpaceError` where they do not go together."""
    from spacedsl.search.predicted import RANDOM, Predicting, opened
    from spacedsl.search.subnets import Plan
    from spacedsl.tables.predictor import fewest_rows

    asked = {"population": population, "rounds": rounds, "window": window}
    evolving = [name for name, value in asked.items() if value is not None]
    if (by or (By.evolution if evolving else By.prediction)) is By.evolution:
        if values is not None:
            help = "say --population, --rounds"
            raise fault("bad-option", "--values is of --by prediction", help)
        return Plan(
            POPULATION if population is None else population,
            ROUNDS if rounds is None else rounds,
            WINDOW if window is None else window,
            seed,
        )
    if evolving:
        raise fault("bad-option", f"--{evolving[0]} is of --by evolution", "say --values")
    first = max(RANDOM, fewest_rows(opened(space)))
    most = max(VALUES, 2 * first) if values is None else values
    return Predicting(random=first, values=most, seed=seed)


def _searching(
    space: Space,
    limits_ms: Sequence[float],
    range_ms: tuple[float, float],
    latency: LatencyModel,
    plan: Predicting | Plan,
    chooser: Chooser,
) -> Callable[[Valuing], tuple[Best, ...]]:
    """The search of a plan."""
    from spacedsl.search.predicted import Predicting, search_by_prediction
    from spacedsl.search.subnets import search_subnets
    from spacedsl.tables.predictor import fit_values
    from spacedsl.targets.subnet_latency import SubnetLatency

    ms, images = SubnetLatency(space, latency), int(chooser.identity["images"])
    if isinstance(plan, Predicting):
        predicting, fit = plan, partial(fit_values, images=images)
        return lambda value: search_by_prediction(
            space, limits_ms, range_ms, latency, ms, value, fit, predicting
        )
    evolving = plan
    return lambda value: search_subnets(space, limits_ms, range_ms, ms, value, evolving)


def _deployed(
    found: Sequence[Best], chooser: Chooser, target: Target, out: Path, suffix: str
) -> list[Deployment]:
    """Write every found subnet's page and file, and evaluate the file."""
    from spacedsl.cli.eval import accuracy
    from spacedsl.compiler.export import FILES, trained_model
    from spacedsl.compiler.plans import int8_plan, network_plan
    from spacedsl.passes.cost import subnet_cost
    from spacedsl.passes.network import subnet_identity
    from spacedsl.runtimes.table import rules_of
    from spacedsl.targets.deployed import open_deployed

    space = found[0].subnet.of
    home = out / f"{space.name}.space"
    write_atomic(home, _page_of(space))
    results: list[Deployment] = []
    for best in found:
        name = f"{space.name}-{best.limit_ms:g}ms".replace(".", "-")
        subnet = best.subnet.model_copy(update={"name": name})
        score = chooser.score(subnet)
        plan = int8_plan(network_plan(subnet), rules_of(target), target)
        weights, file = out / f"{name}.npz", out / f"{name}.{suffix}"
        chooser.deploy(subnet, plan, weights)
        model = trained_model(subnet, weights, suffix, target).model
        write_atomic(file, FILES[suffix].integers(model))
        graph = accuracy(
            file, open_deployed(file), chooser.data, chooser.test.unreadables, lambda _: None
        )
        comments = [
            f"Found in {space.name} for {target.name} under {best.limit_ms:g} ms: predicted "
            f"{best.ms:.4g} ms,",
            f"INT8 top-1 {graph.top1:.2%} of {graph.images:,} test images ({file.name}), "
            f"{best.value:.2%} of the held-out ones.",
        ]
        write_atomic(out / f"{name}.space", page_in(out, subnet, str(home), comments))
        results.append(
            Deployment(
                name=name,
                limit_ms=best.limit_ms,
                predicted_ms=best.ms,
                resolution=subnet.resolution,
                flops=subnet_cost(subnet).flops,
                hash=subnet_identity(subnet),
                held_out_top1=best.value,
                supernet_top1=score.top1,
                top1=graph.top1,
                images=graph.images,
                page=f"{name}.space",
                file=file.name,
                weights=weights.name,
            )
        )
    return results


def _page_of(space: Space) -> str:
    from spacedsl.compiler.supernet import self_contained

    return self_contained(space)
