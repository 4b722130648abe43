"""Where torch computes: options of the commands that train, distil and search."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import typer


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


def precision_of(
    asked: Precision | None, device: Device, *, quantised: bool = False
) -> Literal["fp32", "tf32", "bf16"]:
    """What was asked for, else what suits the device: the steps of 8-bit tensors are exact in
    TF32's 11 bits, and not when they are scaled and rounded to bfloat16's 8."""
    if asked is not None:
        found = asked
    elif device is Device.cpu:
        found = Precision.fp32
    else:
        found = Precision.tf32 if quantised else Precision.bf16
    return found.value
