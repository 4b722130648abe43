"""What commands that use the runtime share: its errors as diagnostics, its needs, progress."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spacedsl.cli.progress import progress
from spacedsl.diagnostics import fault
from spacedsl_runtime.errors import SpacedslError

if TYPE_CHECKING:
    from spacedsl_runtime.train.loop import Reached

TRAINING = ("torch", "safetensors", "PIL")


@contextmanager
def runtime_faults() -> Iterator[None]:
    """The runtime's errors as diagnostics."""
    try:
        yield
    except SpacedslError as error:
        raise fault(error.code, str(error), error.help) from None


def need_training() -> None:
    """Raise `SpaceError` unless the extra `train` is installed."""
    for package in TRAINING:
        if importlib.util.find_spec(package) is None:
            message = f"this needs the package {package}, which is not installed"
            raise fault("missing-extra", message, "pip install 'spacedsl[train]'")


def warned(message: str) -> None:
    """A warning on standard error."""
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def training_bar(
    steps: int, *, quiet: bool
) -> Iterator[tuple[Callable[[Reached], None], Callable[[str], None]]]:
    """What shows how far a training is, and what prints a warning."""
    with progress("training", steps, "steps", quiet=quiet) as bar:

        def show(reached: Reached) -> None:
            scores = (f"{s.name} {s.top1:.1%}" for s in reached.scores[:2])
            speed = f"{reached.images_per_second:,.0f} images/s"
            bar(reached.step, f"loss {reached.loss:.3f}", *scores, speed)

        yield show, warned


@contextmanager
def counting_bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What shows how many of `total` are done."""
    with progress(what, total, "done", quiet=quiet) as bar:
        bar(0)
        yield bar
