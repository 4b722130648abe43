"""The end of a run: how long it took, and the command that comes next."""

from __future__ import annotations

import importlib.util
import shlex
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

import typer

from spacedsl.diagnostics import fault


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


T = TypeVar("T")


class Counted(Generic[T]):
    """Passes on what it is told, and counts how often that was."""

    def __init__(self, show: Callable[[T], None]) -> None:
        self.times, self._show = 0, show

    def __call__(self, told: T) -> None:
        self.times += 1
        self._show(told)


def took(began: float, images: int = 0) -> str:
    """The time since `began` (of `time.monotonic`), and how many images that is a second."""
    seconds = max(time.monotonic() - began, 1e-3)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    words = f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
    words = words if seconds >= 60 else f"{seconds:.1f} s"
    return f"{words}, {images / seconds:,.0f} images/s" if images else words


def command(*words: object) -> str:
    """A command of ours that a shell takes."""
    return shlex.join(["spacedsl", *map(str, words)])


def say_next(line: str) -> None:
    """The last line of a run."""
    print(f"next: {line}")
