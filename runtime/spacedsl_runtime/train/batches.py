"""Batches of training views: which images a step sees follows from the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from spacedsl_runtime.data.split import Data, UnreadableError, Unreadables
from spacedsl_runtime.data.views import to_array, training_view
from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.errors import DataError
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch
from spacedsl_runtime.train.seeds import Use, numbers

Place = tuple[int, int]
"""Epoch and image."""


class Sample(NamedTuple):
    """A view (C, S, S) in bytes, or None and the reason."""

    view: Tensor | None
    label: int
    name: str = ""
    why: str = ""


class Views(Dataset[Sample]):
    """Training views by place; the same view for the same place, whoever asks."""

    def __init__(self, data: Data, size: int, seed: int) -> None:
        self.data, self.size, self.seed = data, size, seed

    def __getitem__(self, place: Place) -> Sample:
        """One view."""
        split, label = self.data.train, int(self.data.train.labels[place[1]])
        try:
            image = split.image(place[1])
        except UnreadableError as error:
            return Sample(None, label, error.name, error.why)
        rng = numbers(self.seed, Use.views, *place)
        view = to_array(training_view(image, self.size, self.data.augment, rng))
        return Sample(torch.tensor(view), label)


class Order:
    """The places of every step from `start` to the recipe's last, those of one process."""

    def __init__(self, data: Data, recipe: Recipe, start: int, world: World) -> None:
        self.count, self.recipe, self.start, self.world = (
            len(data.train.labels),
            recipe,
            start,
            world,
        )
        self.per_epoch = steps_per_epoch(data, recipe.batch)
        self._shuffled = lru_cache(1)(self._shuffle)

    def _shuffle(self, epoch: int) -> np.ndarray:
        return numbers(self.recipe.seed, Use.order, epoch).permutation(self.count)

    def __iter__(self) -> Iterator[list[Place]]:
        for step in range(self.start, self.recipe.steps):
            epoch, position = divmod(step, self.per_epoch)
            first = position * self.recipe.batch
            whole = self._shuffled(epoch)[first : first + self.recipe.batch]
            yield [(epoch, int(i)) for i in whole[self.world.rank :: self.world.size]]


def batches(
    data: Data,
    recipe: Recipe,
    size: int,
    start: int,
    world: World,
    unreadables: Unreadables,
    workers: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Views (N, C, size, size) in bytes and labels (N,) of every step from `start`. An unreadable
    image makes its batch smaller. Raises `DataError` where too many are."""
    loader = DataLoader(
        Views(data, size, recipe.seed),
        batch_sampler=Order(data, recipe, start, world),
        num_workers=workers,
        collate_fn=list,
    )
    for samples in loader:
        for sample in samples:
            if sample.view is None:
                unreadables.add(sample.name, sample.why)
        readable = [s for s in samples if s.view is not None]
        if not readable:
            raise DataError(f"no image of a batch of {len(samples)} can be read")
        labels = torch.tensor([s.label for s in readable])
        yield torch.stack([s.view for s in readable]), labels


class Normalise(NamedTuple):
    """Bytes to the network's input: / 255, minus mean, over std, per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, views: Tensor) -> Tensor:
        """(N, C, H, W) bytes -> float32, channels last."""
        mean, std = (_channels(v, views.device) for v in self)
        return to_channels_last((views / 255 - mean) / std)


@lru_cache
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(1, C, 1, 1), copied to the device once."""
    return torch.tensor(values, device=device).view(1, -1, 1, 1)


def resized(images: Tensor, resolution: int) -> Tensor:
    """(N, C, R, R) from (N, C, S, S), as large or smaller: elastic resolution."""
    if images.shape[-1] == resolution:
        return images
    return F.interpolate(images, (resolution, resolution), mode="bilinear", antialias=True)
