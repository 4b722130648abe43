"""The largest subnet of a training of ours as a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from spacedsl.passes.bound import last_layer
from spacedsl.passes.taps import output_strides
from spacedsl_runtime.distill.teacher import Boundary, Calibration, Teacher, frozen
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.run import CHECKPOINT, PLAN
from spacedsl_runtime.train.state import load_weights, read_training


def open_checkpoint(
    spec: str, where: str, calibration: Calibration, device: torch.device
) -> Teacher:
    """That of the run in the folder `where`. Raises `TeacherError`, `CheckpointError`."""
    folder = Path(where)
    if not (folder / PLAN).is_file():
        raise TeacherError(f"{folder} holds no run of `spacedsl train`")
    plan = read_plan(folder / PLAN, "supernet")
    header, _ = read_training(folder / CHECKPOINT)
    channels, classes = int(header["channels"]), int(header["classes"])
    supernet = load_supernet(plan, channels, classes).eval().to(device)
    load_weights(folder / CHECKPOINT, supernet)
    normalise = Normalise(tuple(header["mean"]), tuple(header["std"]))
    subnet = supernet.largest()
    network = cast(nn.Sequential, supernet.extract(subnet))
    recalibrate(network, calibration(normalise, subnet.resolution))
    owners = [last_layer(step).name.partition(".")[0] for step in supernet.program(subnet)]
    boundaries, strides = list[Boundary](), output_strides(plan.space)
    cins: tuple[int, ...] = (channels,)
    for stage, stride in zip(plan.stages[:-1], strides, strict=False):  # the head has no map
        cins = stage.outs(cins)
        boundaries.append(Boundary(stage.name, stride or 1, max(cins)))
    names = [b.name for b in boundaries]

    def features(x: Tensor) -> list[Tensor]:
        found: dict[str, Tensor] = {}
        for name, layer in zip(owners, network, strict=True):
            if name not in names:
                break
            x = found[name] = layer(x)
        maps: list[Tensor] = []
        for name in names:  # a stage whose ops are all left out ends where it begins
            maps.append(found[name] if name in found else maps[-1])
        return maps

    return frozen(spec, channels, normalise, tuple(boundaries), network, features)
