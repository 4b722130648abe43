"""A model's file as bytes, with the weights that are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spacedsl.compiler.export import FILES, seeded, trained_model
from spacedsl.compiler.parameters import Floats
from spacedsl.compiler.retarget import Difference
from spacedsl.flows.calibrate import Calibrated, with_checkpoint
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target


@dataclass(frozen=True, slots=True)
class Built:
    """A file's bytes. `difference`: what moving an integer model to another runtime cost, where
    images to compare on were given. `calibrated`: the network with the weights of a checkpoint."""

    data: bytes
    difference: Difference | None = None
    calibrated: Calibrated | None = None


def build(
    subnet: Subnet,
    format: str,
    target: Target | None = None,
    *,
    weights: Path | None = None,
    checkpoint: Path | None = None,
    calibrate: str | None = None,
    compare: Floats | None = None,
    fp32: bool = False,
    seed: int = 0,
) -> Built:
    """A model as a file of a format. Its weights are those of an integer model of training
    (`weights`), else FP32 ones of a `checkpoint`, whose 8-bit ranges are those of images of the
    data `calibrate`, else random ones of `seed`. `compare`: images on which an integer model is
    compared with itself on another runtime. Raises `SpaceError`."""
    files = FILES[format]
    if weights is not None:
        trained = trained_model(subnet, weights, format, target, compare)
        return Built(files.integers(trained.model), trained.difference)
    known = None if checkpoint is None else with_checkpoint(subnet, checkpoint, calibrate)
    net = known.net if known else seeded(subnet, seed)
    data = files.fp32(net) if fp32 else files.int8(net, target)
    return Built(data, calibrated=known)
