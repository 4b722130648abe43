"""The end of a run: how long it took, and the command that comes next."""

from __future__ import annotations

import importlib.util
import shlex
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import typer

from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target


class Log(StrEnum):
    """Where metrics are shown besides metrics.jsonl and TensorBoard."""

    wandb = "wandb"
    mlflow = "mlflow"


LOG: list[Log] = typer.Option(
    [], "--log", help="Show metrics in Weights & Biases or MLflow too, offline in --out."
)


def need_logs(asked: list[Log]) -> tuple[str, ...]:
    """The names of what was asked for. Raises `SpaceError` for one that is not installed."""
    for name in asked:
        if importlib.util.find_spec(name.value) is None:
            message = f"--log {name} needs the package {name}, which is not installed"
            raise fault("missing-extra", message, f"pip install 'spacedsl[{name}]'")
    return tuple(name.value for name in asked)


def took(began: float) -> str:
    """The time since `began` (of `time.monotonic`)."""
    seconds = time.monotonic() - began
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def command(*words: object) -> str:
    """A command of ours that a shell takes."""
    return shlex.join(["spacedsl", *map(str, words)])


def say_next(line: str) -> None:
    """The last line of a run."""
    print(f"next: {line}")


def say_next_of(
    space: Space, page: Path | None, models: Sequence[Path], named: str, target: Target
) -> None:
    """What a search wrote, and what follows it: one of its networks as a file, or else a training
    of the space, where that is a page. `train` takes no space with taps, whose maps are shown
    instead. `named`: how the target was named."""
    from spacedsl.runtimes.table import runtime_of

    pages = counted(len(models), "page")
    networks = f"its best networks, {pages} in {models[0].parent}" if models else ""
    written = [*([f"the found space in {page}"] if page else []), *filter(None, [networks])]
    if written:
        print(wrapped(f"written: {'; '.join(written)}"))
    if models:
        file = models[0].with_suffix(f".{runtime_of(target).format}")
        say_next(command("export", models[0], "--target", named, "--out", file))
    elif page is not None and space.taps:
        say_next(command("show", page))
    elif page is not None:
        say_next(command("train", page, "--data", "imagefolder:PHOTOS", "--out", "run"))
