"""spacedsl eval: the accuracy of a deployed graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DATA, tell
from spacedsl.cli.options import RUNTIME
from spacedsl.cli.runs import counting_bar, warned
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import fault
from spacedsl.figures import listed
from spacedsl.flows.faults import IMAGES, runtime_faults

if TYPE_CHECKING:
    from spacedsl.targets.deployed import Deployed
    from spacedsl_runtime.data.split import Data, Unreadables

BATCH = 64


def evaluate(
    file: Path = typer.Argument(
        ..., metavar="FILE", help="An .onnx or .tflite file of `spacedsl export`."
    ),
    data: str = DATA,
    threads: int = typer.Option(1, "--threads", min=1, max=1024, help="Threads inside an op."),
    runtime: str | None = RUNTIME,
    format: Format = FORMAT,
) -> None:
    """Run a deployed graph on the test images of data, preprocessed as the file says."""
    from spacedsl.targets.deployed import open_deployed

    deployed = open_deployed(file, threads, runtime)
    with runtime_faults(IMAGES):
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.data.split import Unreadables, unreadable_limit

        opened = open_data(data)
        tell(opened, quiet=True)
        _check(file, deployed, opened)
        total = len(opened.test.labels)
        unreadable = Unreadables(unreadable_limit(total), warned)
        with counting_bar("evaluating", total, quiet=format is Format.json) as advance:
            found = accuracy(file, deployed, opened, unreadable, advance)
    if format is Format.json:
        emit(
            {
                "file": str(file),
                "model": deployed.model,
                "hash": deployed.hash,
                "runtime": deployed.runtime,
                "data": data,
                "data_hash": opened.hash,
                "resolution": deployed.size,
                "images": found.images,
                "unreadable": unreadable.names,
                "top1": found.top1,
                "top5": found.top5,
            }
        )
        return
    fifth = f", top-5 {found.top5:.2%}" if opened.classes > 5 else ""
    print(
        f"{file}: {deployed.model} at {deployed.size}: top-1 {found.top1:.2%}{fifth} of "
        f"{found.images:,} images"
    )
    say_next(command("bench", file, *(("--runtime", runtime) if runtime else ())))


class Accuracy(NamedTuple):
    """Shares of right answers, the first and one of the first five, and of how many images."""

    images: int
    top1: float
    top5: float


def accuracy(
    file: Path,
    deployed: Deployed,
    data: Data,
    unreadable: Unreadables,
    advance: Callable[[int], None],
) -> Accuracy:
    """A deployed graph's accuracy on the test split, preprocessed as the file says. `advance` gets
    the number of images done. Raises `SpaceError` and the runtime's `DataError`."""
    import numpy as np

    from spacedsl_runtime.data.views import normalised, plain_batches

    images, top1, top5 = 0, 0, 0
    for views, labels in plain_batches(data.test, deployed.size, data.augment, BATCH, unreadable):
        mean, std = deployed.preprocess.mean, deployed.preprocess.std
        logits = deployed.run(normalised(views, mean, std))
        if logits.shape != (len(labels), data.classes):
            message = f"{logits.shape[-1]} logits, {data.spec} has {data.classes} classes"
            raise fault("wrong-data", f"{file} gives {message}")
        best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        images += len(labels)
        top1 += int((best[:, 0] == labels).sum())
        top5 += int((best == labels[:, None]).sum())
        advance(images)
    if not images:
        raise fault("bad-data", f"{data.spec} has no test image that can be read")
    return Accuracy(images, top1 / images, top5 / images)


def _check(file: Path, deployed: Deployed, data: Data) -> None:
    """Raise `SpaceError` where the data are not what the graph was made for."""
    if not data.classes:
        raise fault("wrong-data", f"{data.spec} has no labels")
    if deployed.channels != data.channels:
        message = f"{file} takes {deployed.channels} channels, {data.spec} has {data.channels}"
        raise fault("wrong-data", message)
    if deployed.labels and deployed.labels != data.labels:
        message = f"{file} tells apart {listed(deployed.labels)}; {data.spec} has "
        message += listed(data.labels)
        raise fault("wrong-data", message)
