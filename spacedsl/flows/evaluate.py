"""The accuracy of a deployed file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spacedsl.diagnostics import fault
from spacedsl.figures import counted, listed
from spacedsl.flows.faults import IMAGES, runtime_faults
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.operators.size import Size

if TYPE_CHECKING:
    from spacedsl.targets.deployed import Deployed
    from spacedsl_runtime.data.split import Data, Unreadables

BATCH = 64


@dataclass(frozen=True, slots=True, repr=False)
class Evaluated:
    """A file's accuracy on the `images` of a test split that can be read: the share of right
    answers, and of those among the first five. The network `model` of a `hash` sees `resolution`
    pixels."""

    file: Path
    model: str
    hash: str
    runtime: str
    data: str
    data_hash: str
    classes: int
    resolution: Size
    images: int
    unreadable: tuple[str, ...]
    top1: float
    top5: float

    def __repr__(self) -> str:
        images = counted(self.images, "image")
        return f"<{self.file}: top-1 {self.top1:.2%} of {images} of {self.data}>"


def evaluate(
    file: Path,
    data: str,
    *,
    threads: int = 1,
    runtime: str | None = None,
    on_data: Callable[[Data], None] = lambda data: None,
    watch: Watch = SILENT,
) -> Evaluated:
    """Run a deployed file on the test images of data, preprocessed as the file says. `runtime`:
    another than the usual one of its format. `on_data` is told the data. Raises `SpaceError`."""
    from spacedsl.targets.deployed import open_deployed

    deployed = open_deployed(file, threads, runtime)
    with runtime_faults(IMAGES):
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.data.split import Unreadables, unreadable_limit

        opened = open_data(data)
        on_data(opened)
        _check(file, deployed, opened)
        total = len(opened.test.labels)
        unreadable = Unreadables(unreadable_limit(total), watch.warn)
        with watch.counting("evaluating", total, "images") as show:
            show(0)
            found = accuracy(file, deployed, opened, unreadable, show)
    return Evaluated(
        file,
        deployed.model,
        deployed.hash,
        deployed.runtime,
        data,
        opened.hash,
        opened.classes,
        deployed.size,
        found.images,
        tuple(unreadable.names),
        found.top1,
        found.top5,
    )


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
    advance: Callable[[int], None] = lambda images: None,
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
