"""What commands that use the runtime share: its errors as diagnostics, its needs, progress."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    """A bar on standard error; what shows how far a training is, and what prints a warning."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(
            "steps, loss {task.fields[loss]}, {task.fields[speed]} images/s{task.fields[top1]}"
        ),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("train", total=steps, visible=False, loss="-", speed="-", top1="")

        def show(reached: Reached) -> None:
            scores = "".join(f", {s.name} {s.top1:.1%}" for s in reached.scores[:2])
            bar.update(
                task,
                completed=reached.step,
                loss=f"{reached.loss:.3f}",
                speed=f"{reached.images_per_second:,.0f}",
                top1=scores,
                visible=True,
            )

        def warn(message: str) -> None:
            bar.console.print(f"warning: {message}", markup=False, highlight=False)
            if quiet:
                print(f"warning: {message}", file=sys.stderr)

        yield show, warn


@contextmanager
def counting_bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; what says how many are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
