"""Teachers: networks cut where their maps shrink as the space's do."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from spacedsl_runtime.data.split import Data
from spacedsl_runtime.distill.efficientnet_lite import MEAN, SCALES, STD, load_lite
from spacedsl_runtime.distill.timm_teacher import load_timm
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.device import CPU
from spacedsl_runtime.train.run import CHECKPOINT, PLAN
from spacedsl_runtime.train.state import load_weights, read_training

KNOWN = "lite0, lite1, lite2, checkpoint:RUN, timm:NAME[:FILE]"

Calibration = Callable[[Normalise, int], Iterable[Tensor]]
"""Batches of training images (N, C, R, R), normalised, for a resolution R."""


class Boundary(NamedTuple):
    """A map between two stages: image pixels per pixel, and channels."""

    name: str
    stride: int
    width: int


@dataclass(frozen=True)
class Teacher:
    """A network whose maps are to be imitated. `hash` is over its weights; `features` gives one
    map (N, width, R / stride, R / stride) per boundary from normalised images (N, C, R, R)."""

    name: str
    hash: str
    channels: int
    normalise: Normalise
    boundaries: tuple[Boundary, ...]
    network: nn.Module
    features: Callable[[Tensor], list[Tensor]]


def open_teacher(spec: str, calibration: Calibration, device: torch.device = CPU) -> Teacher:
    """The teacher that `spec` names, frozen, in eval mode, on `device`. `calibration`, on it too,
    is for the batch norms of our own supernets. Raises `TeacherError`, `CheckpointError`."""
    found = _opened(spec, calibration, device)
    found.network.to(device)
    return found


def _opened(spec: str, calibration: Calibration, device: torch.device) -> Teacher:
    kind, _, where = spec.partition(":")
    if kind in SCALES and not where:
        return _lite(kind)
    if kind == "checkpoint" and where:
        return _checkpoint(spec, Path(where), calibration, device)
    if kind == "timm" and where:
        return _timm(spec, where)
    raise TeacherError(f"unknown teacher `{spec}`", f"known: {KNOWN}")


def _lite(name: str) -> Teacher:
    network = load_lite(name)
    boundaries = [Boundary("stem", 2, network.stem.conv.out_channels)]
    for i, stage in enumerate(network.shape):
        stride = boundaries[-1].stride * stage.stride
        boundaries.append(Boundary(f"stage{i}", stride, stage.width))
    normalise = Normalise(MEAN, STD)
    return _frozen(name, 3, normalise, tuple(boundaries), network, network.features)


def _timm(spec: str, where: str) -> Teacher:
    name, _, file = where.partition(":")
    found = load_timm(name, Path(file) if file else None)
    boundaries = tuple(map(Boundary, found.places, found.strides, found.widths))
    normalise = Normalise(found.mean, found.std)
    return _frozen(spec, found.channels, normalise, boundaries, found.network, found.features)


def _checkpoint(spec: str, folder: Path, calibration: Calibration, device: torch.device) -> Teacher:
    """The largest subnet of a run of ours."""
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
    owners = [step.name.partition(".")[0] for step in supernet.program(subnet)]
    boundaries, stride = list[Boundary](), 1
    cins: tuple[int, ...] = (channels,)
    for stage in plan.stages[:-1]:  # the head has no map
        stride *= stage.stride
        cins = stage.widths or cins
        boundaries.append(Boundary(stage.name, stride, max(cins)))
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

    return _frozen(spec, channels, normalise, tuple(boundaries), network, features)


def _frozen(
    name: str,
    channels: int,
    normalise: Normalise,
    boundaries: tuple[Boundary, ...],
    network: nn.Module,
    features: Callable[[Tensor], list[Tensor]],
) -> Teacher:
    network.eval().requires_grad_(False)
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())

    def without_gradients(x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return features(x)

    return Teacher(
        name, digest.hexdigest(), channels, normalise, boundaries, network, without_gradients
    )


def check_data(teacher: Teacher, data: Data) -> None:
    """Raises `TeacherError` where the data's images are not what the teacher takes."""
    if teacher.channels != data.channels:
        message = (
            f"{teacher.name} takes {teacher.channels} channels, {data.spec} has {data.channels}"
        )
        raise TeacherError(message)


class Part(NamedTuple):
    """A stage of a space: image pixels per pixel of its result, and whether it is elastic."""

    name: str
    stride: int
    elastic: bool


def cut(parts: Sequence[Part], teacher: Teacher) -> Mapping[str, tuple[int, int]]:
    """For every elastic stage the teacher's boundaries before and after it, as indices. Stages and
    boundaries of one stride are matched in order, the last with the last; boundaries that are too
    many are spread. Raises `TeacherError` where the teacher has too few, showing both."""
    needed = [p for p, after in pairwise(parts) if after.elastic]
    wanted = [p for p in parts if p.elastic or p in needed]
    if not parts or parts[0].elastic:
        raise TeacherError(f"{parts[0].name if parts else 'a stage'} has nothing before it")
    mine, theirs = defaultdict(list), defaultdict(list)
    for part in wanted:
        mine[part.stride].append(part)
    for index, boundary in enumerate(teacher.boundaries):
        theirs[boundary.stride].append(index)
    place: dict[str, int] = {}
    for stride, stages in mine.items():
        found = theirs[stride]
        if len(found) < len(stages):
            raise TeacherError(_misfit(stride, parts, teacher, len(stages), len(found)))
        for i, stage in enumerate(stages):
            place[stage.name] = found[-(-(i + 1) * len(found) // len(stages)) - 1]
    return {
        part.name: (place[before.name], place[part.name])
        for before, part in pairwise(parts)
        if part.elastic
    }


def _misfit(stride: int, parts: Sequence[Part], teacher: Teacher, wanted: int, found: int) -> str:
    mine = ", ".join(f"{p.name} {p.stride}" for p in parts)
    theirs = ", ".join(f"{b.name} {b.stride}" for b in teacher.boundaries)
    return (
        f"{teacher.name} does not fit: at stride {stride} the space ends {wanted} stages that are "
        f"needed, the teacher {found}. Strides of the space: {mine}. Of the teacher: {theirs}"
    )
