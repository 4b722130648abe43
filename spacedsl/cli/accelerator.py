"""Where torch computes: options of the commands that train, distil and search."""

from __future__ import annotations

from enum import StrEnum

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
