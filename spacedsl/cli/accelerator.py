"""Where torch computes: options of the commands that train, distil and search."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from spacedsl.flows.execution import Execution

if TYPE_CHECKING:
    from spacedsl.cli.datasets import Decoding


class Device(StrEnum):
    """A processor that torch computes on."""

    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """How products are computed (`spacedsl_runtime.train.recipe.Precision`)."""

    fp32 = "fp32"
    tf32 = "tf32"
    bf16 = "bf16"


DEVICE = typer.Option(Device.cpu, "--device", help="Where torch computes.")
PRECISION = typer.Option(
    None, "--precision", help="Of products: on CUDA bf16, with LSQ+ tf32; on a CPU fp32."
)


def execution_of(
    device: Device,
    threads: int | None,
    workers: int | None,
    decoder: Decoding | None,
    logs: tuple[str, ...],
) -> Execution:
    """What the options say of where and how torch computes, with this command line."""
    return Execution(
        device=device.value,
        threads=threads,
        workers=workers,
        decoder=decoder and decoder.value,
        logs=logs,
        command=("spacedsl", *sys.argv[1:]),
    )
