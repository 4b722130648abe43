"""Where metrics are shown besides `metrics.jsonl`: TensorBoard where it is installed, and what is
asked for. Everything stays in the run's folder unless the user's own settings say otherwise."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

PROJECT = "spacedsl"
"""Of W&B; MLflow's experiment."""

Numbers = Mapping[str, float]
"""By tag."""

Warn = Callable[[str], None]


class Board(Protocol):
    """One of them, open."""

    def log(self, numbers: Numbers, step: int) -> None:
        """The numbers of a step."""

    def close(self) -> None:
        """Write what is not written yet."""


class _TensorBoard:
    """Events in the folder; what it has after `step` is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        # TensorBoard takes its own file functions for TensorFlow's where it finds this module, and
        # so does not load all of TensorFlow to append to a file.
        without = "tensorboard.compat.notf"
        sys.modules.setdefault(without, ModuleType(without))
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def log(self, numbers: Numbers, step: int) -> None:
        for tag, value in numbers.items():
            self._writer.add_scalar(tag, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of W&B, offline in `FOLDER/wandb` unless WANDB_MODE says otherwise; `wandb sync` sends
    it. A resumed training goes on with the same one."""

    def __init__(self, folder: Path, step: int) -> None:
        import wandb

        del step  # W&B drops steps that it has
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            project=PROJECT,
            name=folder.name,
            id=_identity(folder),
            dir=str(folder),
            resume="allow",
            mode=mode,
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, numbers: Numbers, step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of MLflow, in `FOLDER/mlflow.db` unless MLFLOW_TRACKING_URI says otherwise. A resumed
    training goes on with the same one."""

    def __init__(self, folder: Path, step: int) -> None:
        from mlflow import MlflowClient

        del step  # numbers of a step that is done again are the same
        local = f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._client: Any = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", local))
        found = self._client.get_experiment_by_name(PROJECT)
        home = found.experiment_id if found else self._client.create_experiment(PROJECT)
        tag = _identity(folder)
        begun = self._client.search_runs([home], f"tags.spacedsl_run = '{tag}'")
        run = (
            begun[0]
            if begun
            else self._client.create_run(home, run_name=folder.name, tags={"spacedsl_run": tag})
        )
        self._run: str = run.info.run_id

    def log(self, numbers: Numbers, step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, [Metric(t, v, now, step) for t, v in numbers.items()])

    def close(self) -> None:
        self._client.set_terminated(self._run)


def _identity(folder: Path) -> str:
    return sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


KINDS: dict[str, Callable[[Path, int], Board]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "mlflow": _Mlflow,
}


class Boards:
    """TensorBoard, where installed, and those of `asked`; opened with the first numbers, so that a
    run that is over stays as it is. One that fails is left alone with a warning: training is not
    to end for it, and `metrics.jsonl` has everything."""

    def __init__(self, folder: Path, step: int, asked: Iterable[str], warn: Warn) -> None:
        self._folder, self._step, self._warn = folder, step, warn
        usual = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
        self._names = list(dict.fromkeys([*usual, *asked]))
        self._open: dict[str, Board] = {}

    def record(self, entry: Mapping[str, Any]) -> None:
        """The numbers of one line of metrics, at its `step`."""
        numbers = dict(_numbers("", entry))
        step = int(numbers.pop("step", 0))
        for name in list(self._names):
            self._try(name, lambda board: board.log(numbers, step))

    def close(self) -> None:
        """Close those that are open."""
        for name in list(self._open):
            self._try(name, lambda board: board.close())
        self._names.clear()

    def _try(self, name: str, do: Callable[[Board], None]) -> None:
        try:
            if name not in self._open:
                self._open[name] = KINDS[name](self._folder, self._step)
            do(self._open[name])
        except Exception as error:  # whatever its own library raises
            self._names.remove(name)
            self._open.pop(name, None)
            self._warn(f"{name} gets no more metrics: {error}")


def _numbers(where: str, value: object) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [n for k, v in value.items() for n in _numbers(f"{where}/{k}" if where else k, v)]
    return [(where, float(value))] if isinstance(value, int | float) else []
