"""The teacher's maps: what a stage is given and what it imitates; computed by one job and kept on
disk for the others.

All jobs of a distillation see the same views at the same resolution in the same step, so the maps
of a step are the same for all of them, and what is read back is what was computed, to the bit:
each file has checksums. Evaluation's maps are kept too. The steps that fit into the limit are kept,
from the first on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spacedsl.checksum import checksum
from spacedsl.operators.size import Size
from spacedsl_runtime.checkpoint import tensor_bytes
from spacedsl_runtime.errors import RunError
from spacedsl_runtime.files import write_atomic
from spacedsl_runtime.train.batches import resized

Boundaries = tuple[int, int]
"""The teacher's before and after a stage, as positions."""

Maps = dict[str, Tensor]
"""By name (see `map_names`), (N, C, H, W) each."""


def map_names(boundaries: Boundaries, *, pooled: bool) -> tuple[str, str]:
    """Of the map that a stage is given and of the one that it imitates; `pooled`: that one is of
    larger images than the stage sees."""
    before, after = boundaries
    return str(before), f"{after} pooled" if pooled else str(after)


def teacher_maps(
    features: Callable[[Tensor], list[Tensor]],
    images: Tensor,
    resolution: Size,
    stages: Iterable[Boundaries],
) -> Maps:
    """What stages are given at a resolution, and what they imitate: the teacher's maps of `images`
    (N, C, S, S). Where these are larger, stages are given the maps of the resized ones, as in the
    network that they are part of, and imitate those of the large ones, which are averaged over the
    areas of the pixels that a stage has."""
    seen = resized(images, resolution)
    given = features(seen)
    pooled = seen is not images
    wanted = given
    if pooled:
        pairs = zip(features(images), given, strict=True)
        wanted = [averaged(whole, own.shape[2:]) for whole, own in pairs]
    found: Maps = {}
    for before, after in stages:
        names = map_names((before, after), pooled=pooled)
        found |= dict(zip(names, (given[before], wanted[after]), strict=True))
    return found


def averaged(maps: Tensor, sides: Sequence[int]) -> Tensor:
    """Maps (N, C, H, W) with these `sides`: means over the areas of fewer pixels. Where a side is
    no multiple of its new one, a pixel counts with the share of it that lies within."""
    rows, columns = (
        _shares(whole, size).to(maps) for whole, size in zip(maps.shape[2:], sides, strict=True)
    )
    return torch.einsum("ih,nchw,jw->ncij", rows, maps, columns)


def _shares(whole: int, size: int) -> Tensor:
    """Of how many pixels in a row each of fewer is the mean, (size, whole)."""
    edges = torch.arange(size + 1, dtype=torch.float64) * whole / size
    pixels = torch.arange(whole, dtype=torch.float64)
    ends = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return ends.clamp_min(0) * size / whole


@dataclass(frozen=True)
class FeatureCache:
    """Files in `folder`, of at most `limit` bytes in all. `stages`: the boundaries of every job.
    Where the disk is full, nothing more is kept."""

    folder: Path
    limit: int
    stages: tuple[Boundaries, ...]

    def load(self, name: str, wanted: Sequence[str]) -> Maps | None:
        """The maps named `wanted`, None where they are not kept or are damaged."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in wanted}
                known = file.metadata() or {}
        except (SafetensorError, OSError):
            return None
        intact = all(known.get(name) == check for name, check in _checksums(tensors).items())
        return tensors if intact else None

    def get(self, name: str, wanted: Sequence[str], compute: Callable[[], Maps]) -> Maps:
        """The maps named `wanted`: read, or computed (those of all stages) and kept."""
        found = self.load(name, wanted)
        if found is None:
            found = compute()
            self.keep(name, found)
        return found

    def keep(self, name: str, maps: Maps) -> None:
        """Keep the maps of all stages where there is room."""
        tensors = {key: t.cpu().contiguous() for key, t in maps.items()}
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._held() + size <= self.limit:
                data = save(tensors, _checksums(tensors))
                write_atomic(self._path(name), lambda file: file.write(data), RunError)
        except (OSError, RunError):  # a full disk: it is a cache
            return

    def _held(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def clear(self) -> None:
        """Remove everything."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def _checksums(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: checksum(tensor_bytes({name: t})) for name, t in tensors.items()}
