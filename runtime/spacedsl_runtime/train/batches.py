"""Batches of training views: which images a step sees follows from the seed and the step."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from spacedsl.operators.size import Size, pair
from spacedsl_runtime.data.decode import UnreadableError
from spacedsl_runtime.data.split import Bytes, Data, Pixels, Unreadables
from spacedsl_runtime.data.views import cores, to_array, training_view
from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.errors import DataError
from spacedsl_runtime.train.device import CPU
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe, steps_per_epoch
from spacedsl_runtime.train.seeds import Use, numbers

EpochImage = tuple[int, int]
"""Epoch and image."""


Sizes = Size | Callable[[int], Size]
"""Of views in pixels, of all steps or by the step."""


class Batch(NamedTuple):
    """Views (N, C, S, S) in bytes and labels (N,) of one step; names of images that cannot be read,
    with the reasons."""

    views: Tensor
    labels: Tensor
    unreadable: tuple[tuple[str, str], ...] = ()


class Wanted(NamedTuple):
    """Of one step: how large views are, and of what."""

    size: Size
    places: list[EpochImage]


class Views(Dataset[Batch]):
    """Batches of training views, stacked where they are read: what crosses the border of a process
    is two tensors, however many images there are. The same view for the same place."""

    def __init__(self, data: Data, seed: int) -> None:
        self.data, self.seed = data, seed

    def __getitem__(self, wanted: Wanted) -> Batch:
        """One batch; empty where no image can be read."""
        found: list[Bytes] = []
        labels: list[int] = []
        unreadable: list[tuple[str, str]] = []
        for place in wanted.places:
            try:
                found.append(self._view(place, wanted.size))
            except UnreadableError as error:
                unreadable.append((error.name, error.why))
            else:
                labels.append(int(self.data.train.labels[place[1]]))
        views = np.stack(found) if found else np.empty((0, 0, 0, 0), np.uint8)
        return Batch(torch.from_numpy(views), torch.tensor(labels), tuple(unreadable))

    def _view(self, place: EpochImage, size: Size) -> Bytes:
        source = self.data.train.source(place[1])
        rng = numbers(self.seed, Use.views, *place)
        return to_array(training_view(source, size, self.data.augment, rng))


class Order(Sampler[Wanted]):
    """What every step wants from `start` to the recipe's last, of one process."""

    def __init__(self, data: Data, recipe: Recipe, size: Sizes, start: int, world: World) -> None:
        self.count, self.recipe, self.size = len(data.train.labels), recipe, size
        self.start, self.world = start, world
        self.per_epoch = steps_per_epoch(data, recipe.batch)
        self._shuffled = lru_cache(1)(self._shuffle)

    def _shuffle(self, epoch: int) -> np.ndarray:
        return numbers(self.recipe.seed, Use.order, epoch).permutation(self.count)

    def __iter__(self) -> Iterator[Wanted]:
        for step in range(self.start, self.recipe.steps):
            epoch, position = divmod(step, self.per_epoch)
            first = position * self.recipe.batch
            everyone = self._shuffled(epoch)[first : first + self.recipe.batch]
            mine = everyone[self.world.rank :: self.world.size]
            size = self.size(step) if callable(self.size) else self.size
            yield Wanted(size, [(epoch, int(i)) for i in mine])


MOST_WORKERS = 16


def usual_workers(data: Data, device: str, processes: int = 1) -> int:
    """How many processes read images, for each of some that train on this machine: none for images
    in memory; beside a GPU all cores but one; where the cores train themselves, a fourth of
    them."""
    if isinstance(data.train, Pixels):
        return 0
    mine = cores() // processes
    return max(1, min(MOST_WORKERS, mine // 4 if device == "cpu" else mine - 1))


def batches(
    data: Data,
    recipe: Recipe,
    size: Sizes,
    start: int,
    world: World,
    unreadables: Unreadables,
    workers: int = 0,
    device: torch.device = CPU,
) -> Iterator[tuple[Tensor, Tensor]]:
    """On a device the views (N, C, S, S) in bytes and labels (N,) of every step from `start`, S
    being `size`. An unreadable image makes its batch smaller. The same for any number of
    `workers`. Raises `DataError` where too many images are unreadable."""
    with warnings.catch_warnings():
        # Of more workers than cores torch warns; how many there are is for the user to say.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        loader = DataLoader(
            Views(data, recipe.seed),
            batch_size=None,
            sampler=Order(data, recipe, size, start, world),
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=device.type == "cuda",
        )
        found = iter(loader)
    for batch in _on_device(_read(found), device):
        for name, why in batch.unreadable:
            unreadables.add(name, why)
        if not len(batch.labels):
            raise DataError(f"no image of a batch of {len(batch.unreadable)} can be read")
        yield batch.views, batch.labels


def _as_it_is(batch: Any) -> Any:
    return batch


def _read(found: Iterator[Batch]) -> Iterator[Batch]:
    try:
        yield from found
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        help = "it may lack (shared) memory: say fewer --workers, a smaller --batch or --workers 0"
        raise DataError("a process that reads images has died", help) from error


def _on_device(found: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches on a device. On a GPU the next one is copied while a step runs: the copy is queued on
    a stream of its own before its predecessor is handed out."""
    if device.type != "cuda":
        yield from found
        return
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    waiting: deque[tuple[Batch, torch.cuda.Event]] = deque()
    for batch in found:
        with torch.cuda.stream(stream):
            views = batch.views.to(device, non_blocking=True)
            labels = batch.labels.to(device, non_blocking=True)
            waiting.append((Batch(views, labels, batch.unreadable), stream.record_event()))
        if len(waiting) > 1:
            yield _arrived(*waiting.popleft())
    while waiting:
        yield _arrived(*waiting.popleft())


def _arrived(batch: Batch, copied: torch.cuda.Event) -> Batch:
    """A batch that whatever is queued from now on may read."""
    current = torch.cuda.current_stream(batch.views.device)
    current.wait_event(copied)
    for tensor in (batch.views, batch.labels):
        tensor.record_stream(current)
    return batch


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


def resized(images: Tensor, resolution: Size) -> Tensor:
    """Images (N, C, H, W) at a resolution, as large or smaller: elastic resolution. Bicubic, since
    views are resized twice so: at 160 from 224 pixels they keep 99.7 % of the gradient energy of
    those that are made at 160, by a bilinear filter 79 % (docs/training.md)."""
    if images.shape[2:] == pair(resolution):
        return images
    return F.interpolate(images, pair(resolution), mode="bicubic", antialias=True)
