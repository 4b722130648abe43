"""Search a trained supernet for its best subnets under latency limits, and deploy them. Needs
PyTorch, which is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.compiler.export import FILES, trained_model
from spacedsl.compiler.plans import int8_plan, network_plan
from spacedsl.compiler.supernet import self_contained, supernet_plan
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder, write_atomic
from spacedsl.flows.deployment import FRONT, Deployment, Searched, measure, write_json
from spacedsl.flows.evaluate import accuracy
from spacedsl.flows.execution import ON_CPU, Execution, usual_precision
from spacedsl.flows.faults import runtime_faults
from spacedsl.flows.ready import ready_target, separating
from spacedsl.flows.valuing import Valuing
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.for_data import for_data
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.written import page_in
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.runtimes.table import rules_of, runtime_of
from spacedsl.search.exact.task_log import TaskLog
from spacedsl.search.predicted import RANDOM, Predicting, opened, search_by_prediction
from spacedsl.search.subnets import (
    VALUES,
    Best,
    EvolutionSettings,
    Value,
    require_limits,
    search_subnets,
)
from spacedsl.tables.fit_accuracy import fewest_rows
from spacedsl.tables.predictor import fit_values
from spacedsl.targets.deployed import open_deployed
from spacedsl.targets.device import Device, knows, open_device
from spacedsl.targets.latency import not_covered
from spacedsl.targets.ranges import latency_range
from spacedsl.targets.subnet_latency import SubnetLatency

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data
    from spacedsl_runtime.train.choose import Chooser

JOURNAL = "search.jsonl"
"""In the folder: the accuracy of every subnet that was valued."""


def trained_space(run: Path) -> Space:
    """The space of a run, as its own page says it, with the channels and classes of the data.
    Raises `SpaceError`."""
    with runtime_faults():
        from spacedsl_runtime.train.quantise import trained_on

        page = run / "resolved.space"
        if not page.is_file():
            help = "train it: `spacedsl train SPACE --data D --out RUN`, then with --qat"
            raise fault("bad-run", f"{run} holds no training", help)
        return for_data(api.load_space(str(page)), *trained_on(run))


def searched_device(target: Target, space: Space, watch: Watch = SILENT) -> Device:
    """A target's device, which knows what subnets of `space` cost: where that is this machine and
    no profile of it covers them, it is profiled. Raises `SpaceError`."""
    return open_device(target if knows(target, space) else ready_target(target, space, watch))


def predicting(space: Space, values: int | None = None, seed: int = 0) -> Predicting:
    """A search by prediction of a space, that values at most `values` subnets. Raises
    `SpaceError` where these are too few."""
    first = max(RANDOM, fewest_rows(opened(space)))
    return Predicting(first, values=max(VALUES, 2 * first) if values is None else values, seed=seed)


def search(
    run: Path,
    device: Device,
    out: Path,
    method: Predicting | EvolutionSettings,
    *,
    limits_ms: Sequence[float] = (),
    data: str | None = None,
    images: int | None = None,
    measure_s: float = 0.0,
    execution: Execution = ON_CPU,
    kept_bytes: int = 8_000_000_000,
    resume: bool = False,
    on_data: Callable[[Data, int], None] = lambda data, held_out: None,
    watch: Watch = SILENT,
) -> Searched:
    """Find the best subnets of the supernet that was trained in the folder `run`, in FP32 and with
    LSQ+, under latency limits of a device that knows its space, and write their pages and INT8
    files into the folder `out`. Subnets are valued on at most `images` held-out training images.
    `limits_ms`: others than the device's, or than those taken where these tell few networks apart
    (`separating`); `data`: where the training's data are now; `measure_s`:
    seconds for which the files are timed here; `kept_bytes` of decoded images are kept. `on_data`
    is told the data and how many images are held out. Raises `SpaceError`."""
    check_folder(out)
    space = trained_space(run)
    suffix = runtime_of(device.target).format
    FILES[suffix].need()
    device = separating(device, space, tuple(limits_ms), watch)
    target, limits = device.target, tuple(limits_ms) or device.limits_ms
    with runtime_faults(), _kernels(execution):
        chooser = _chooser(run, space, target, data, images, execution, kept_bytes, watch)
        range_ms = _range(space, device)
        require_limits(space, limits, range_ms)
        out.mkdir(parents=True, exist_ok=True)
        settings = {
            **chooser.identity,
            "target": target.name,
            "latency": device.latency.identity,
            "limits_ms": list(limits),
            **asdict(method),
        }
        on_data(chooser.data, chooser.identity["images"])
        ms, most = SubnetLatency(space, device.latency), method.most(len(limits))
        find = _finder(ms, limits, range_ms, method, chooser)
        with TaskLog(out / JOURNAL, settings, resume, "subnets") as log:
            with watch.counting("searching", most, "done") as show:
                show(0)
                value = Valuing(chooser.value, log, ms, show)
                best = find(value)
            models = _deployed(best, chooser, target, out, suffix, watch)
    valued = tuple(value.valued.values())
    found = Searched(space, target, chooser.data.spec, out, settings, models, valued)
    write_json(out / FRONT, found.front)
    return replace(found, measured=measure(found, measure_s, watch)) if measure_s else found


def _range(space: Space, device: Device) -> tuple[float, float]:
    """Least and greatest latency. Raises `SpaceError` where the device does not know them."""
    known = latency_range(space, device.latency)
    if known.least_ms is None or known.greatest_ms is None:
        help = f"profile `{device.target.name}`, or choose another target"
        raise not_covered(space.name, [str(block) for block in known.missing], help)
    return known.least_ms, known.greatest_ms


def _chooser(
    run: Path,
    space: Space,
    target: Target,
    data: str | None,
    images: int | None,
    execution: Execution,
    kept_bytes: int,
    watch: Watch,
) -> Chooser:
    import torch

    from spacedsl_runtime.data.split import Unreadables, unreadable_limit
    from spacedsl_runtime.train.choose import IMAGES, open_chooser
    from spacedsl_runtime.train.device import device_of

    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    plan = supernet_plan(space, target)
    unreadable = Unreadables(unreadable_limit(images or IMAGES), watch.warn)
    here = device_of(execution.device)
    return open_chooser(run, plan, data, images, unreadable, here, kept_bytes)


@contextmanager
def _kernels(execution: Execution) -> Iterator[None]:
    """Those that give the same accuracies each time."""
    from spacedsl_runtime.train.device import device_of, kernels

    precision = usual_precision(execution.device, quantised=True)
    with kernels(device_of(execution.device), precision, True):
        yield


def _finder(
    ms: SubnetLatency,
    limits_ms: Sequence[float],
    range_ms: tuple[float, float],
    method: Predicting | EvolutionSettings,
    chooser: Chooser,
) -> Callable[[Value], tuple[Best, ...]]:
    """The search by a method, of the space that `ms` gives latencies of."""
    where = ms.space, limits_ms, range_ms
    if isinstance(method, EvolutionSettings):
        return lambda value: search_subnets(*where, ms, value, method)
    fit = partial(fit_values, images=int(chooser.identity["images"]))
    return lambda value: search_by_prediction(*where, ms.table, ms, value, fit, method)


def _deployed(
    found: Sequence[Best], chooser: Chooser, target: Target, out: Path, suffix: str, watch: Watch
) -> tuple[Deployment, ...]:
    """Write the space's page, and every found subnet's page and file; evaluate the files."""
    space = found[0].subnet.of
    home = out / f"{space.name}.space"
    write_atomic(home, self_contained(space))
    made: list[Deployment] = []
    with watch.counting("writing and evaluating", len(found), "files") as show:
        show(0)
        for best in found:
            made.append(_deploy(best, chooser, target, home, suffix))
            show(len(made))
    return tuple(made)


def _deploy(best: Best, chooser: Chooser, target: Target, home: Path, suffix: str) -> Deployment:
    """One of them; `home`: its space's page, beside which it is written."""
    out, space = home.parent, best.subnet.of
    name = f"{space.name}-{best.limit_ms:g}ms".replace(".", "-")
    subnet = best.subnet.model_copy(update={"name": name})
    score = chooser.score(subnet)
    plan = int8_plan(network_plan(subnet), rules_of(target), target)
    page, weights, file = (out / f"{name}.{end}" for end in ("space", "npz", suffix))
    chooser.deploy(subnet, plan, weights)
    model = trained_model(subnet, weights, suffix, target).model
    write_atomic(file, FILES[suffix].integers(model))
    graph = accuracy(file, open_deployed(file), chooser.data, chooser.test.unreadables)
    comments = [
        f"Found in {space.name} for {target.name} under {best.limit_ms:g} ms: predicted "
        f"{best.ms:.4g} ms,",
        f"INT8 top-1 {graph.top1:.2%} of {graph.images:,} test images ({file.name}), "
        f"{best.value:.2%} of the held-out ones.",
    ]
    write_atomic(page, page_in(out, subnet, str(home), comments))
    return Deployment(
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
        page=page.name,
        file=file.name,
        weights=weights.name,
    )
