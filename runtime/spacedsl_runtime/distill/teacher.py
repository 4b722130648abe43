"""Teachers: networks cut where their maps shrink as the space's do."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spacedsl.operators.size import Size
from spacedsl_runtime.data.split import Data
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.train.batches import Normalise

Calibration = Callable[[Normalise, Size], Iterable[Tensor]]
"""Batches of training images (N, C, H, W), normalised, for a resolution."""


class Boundary(NamedTuple):
    """A map between two stages: image pixels per pixel, and channels."""

    name: str
    stride: Size
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


def frozen(
    name: str,
    channels: int,
    normalise: Normalise,
    boundaries: tuple[Boundary, ...],
    network: nn.Module,
    features: Callable[[Tensor], list[Tensor]],
) -> Teacher:
    """The teacher that a network makes, which learns nothing from now on."""
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


class StageStride(NamedTuple):
    """A stage of a space: image pixels per pixel of its result, and whether it is elastic."""

    name: str
    stride: Size
    elastic: bool


def cut(parts: Sequence[StageStride], teacher: Teacher) -> Mapping[str, tuple[int, int]]:
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


def _misfit(
    stride: Size, parts: Sequence[StageStride], teacher: Teacher, wanted: int, found: int
) -> str:
    mine = ", ".join(f"{p.name} {p.stride}" for p in parts)
    theirs = ", ".join(f"{b.name} {b.stride}" for b in teacher.boundaries)
    return (
        f"{teacher.name} does not fit: at stride {stride} the space ends {wanted} stages that are "
        f"needed, the teacher {found}. Strides of the space: {mine}. Of the teacher: {theirs}"
    )
