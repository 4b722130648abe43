"""spacedsl eval: the accuracy of a deployed graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.runs import counting_bar, runtime_faults
from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from spacedsl.targets.deployed import Deployed
    from spacedsl_runtime.data.split import Data

BATCH = 64


def evaluate(
    file: Path = typer.Argument(
        ..., metavar="FILE", help="An .onnx or .tflite file of `spacedsl export`."
    ),
    data: str = typer.Option(
        ..., "--data", help="digits, fashion-mnist[:DIR] or imagefolder:PATH."
    ),
    threads: int = typer.Option(1, "--threads", min=1, max=1024, help="Threads inside an op."),
    format: Format = FORMAT,
) -> None:
    """Run a deployed graph on the test images of data, preprocessed as the file says."""
    import numpy as np

    from spacedsl.targets.deployed import open_deployed

    deployed = open_deployed(file, threads)
    with runtime_faults():
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.data.split import Unreadables, unreadable_limit
        from spacedsl_runtime.data.views import normalised, plain_batches

        opened = open_data(data)
        _check(file, deployed, opened)
        total = len(opened.test.labels)
        found = Unreadables(unreadable_limit(total), _warn)
        images, top1, top5 = 0, 0, 0
        batches = plain_batches(opened.test, deployed.size, opened.augment, BATCH, found)
        with counting_bar("evaluating", total, quiet=format is Format.json) as advance:
            for views, labels in batches:
                mean, std = deployed.preprocess.mean, deployed.preprocess.std
                logits = deployed.run(normalised(views, mean, std))
                if logits.shape != (len(labels), opened.classes):
                    message = f"{logits.shape[-1]} logits, {data} has {opened.classes} classes"
                    raise fault("wrong-data", f"{file} gives {message}")
                best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
                images += len(labels)
                top1 += int((best[:, 0] == labels).sum())
                top5 += int((best == labels[:, None]).sum())
                advance(images)
    if not images:
        raise fault("bad-data", f"{data} has no test image that can be read")
    if format is Format.json:
        emit(
            {
                "file": str(file),
                "model": deployed.model,
                "hash": deployed.hash,
                "data": data,
                "data_hash": opened.hash,
                "resolution": deployed.size,
                "images": images,
                "unreadable": found.names,
                "top1": top1 / images,
                "top5": top5 / images,
            }
        )
        return
    print(
        f"{file}: {deployed.model} at {deployed.size}: top-1 {top1 / images:.2%}, "
        f"top-5 {top5 / images:.2%} of {images:,} images"
    )


def _check(file: Path, deployed: Deployed, data: Data) -> None:
    """Raise `SpaceError` where the data are not what the graph was made for."""
    if not data.classes:
        raise fault("wrong-data", f"{data.spec} has no labels")
    if deployed.channels != data.channels:
        message = f"{file} takes {deployed.channels} channels, {data.spec} has {data.channels}"
        raise fault("wrong-data", message)
    if deployed.labels and deployed.labels != data.labels:
        theirs, mine = ", ".join(deployed.labels[:5]), ", ".join(data.labels[:5])
        message = f"{file} tells apart {theirs}, ...; {data.spec} has {mine}, ..."
        raise fault("wrong-data", message)


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
