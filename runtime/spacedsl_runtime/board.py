"""TensorBoard beside metrics, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Board(Protocol):
    """TensorBoard's writer, as far as it is used."""

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """One number."""

    def close(self) -> None:
        """Write what is not written yet."""


def open_board(folder: Path, step: int = 0) -> Board | None:
    """A writer into a folder, None where TensorBoard is not installed; what the folder has after
    `step` is hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


def record(board: Board, entry: Mapping[str, Any]) -> None:
    """The numbers of one line of metrics, at its `step`."""
    for tag, value in _numbers("", entry):
        if tag != "step":
            board.add_scalar(tag, value, int(entry.get("step", 0)))


def _numbers(where: str, value: object) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [n for k, v in value.items() for n in _numbers(f"{where}/{k}" if where else k, v)]
    return [(where, float(value))] if isinstance(value, int | float) else []
