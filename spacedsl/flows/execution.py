"""Where and how torch computes, as flows are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacedsl_runtime.train.recipe import Precision


@dataclass(frozen=True, slots=True)
class Execution:
    """Nothing of this changes a result, but that each `device` (`cpu` or `cuda`) rounds in its own
    way. `threads` are those of a process, `workers` the processes that read images, and `decoder`
    is that of JPEG files; None: as usual. `logs`: where metrics are shown too. `command` is written
    into the run's files."""

    device: str = "cpu"
    threads: int | None = None
    workers: int | None = None
    decoder: str | None = None
    logs: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


ON_CPU = Execution()


def usual_precision(device: str, *, quantised: bool) -> Precision:
    """How products are computed where nothing else is asked for: the steps of 8-bit tensors are
    exact in TF32's 11 bits, and not when they are scaled and rounded to bfloat16's 8."""
    if device == "cpu":
        return "fp32"
    return "tf32" if quantised else "bf16"
