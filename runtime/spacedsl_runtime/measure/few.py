"""What a few images tell of a whole batch: what they cost, and what memory they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

FEW = (2, 16, 128)
"""Images that are measured on a CPU, where an image takes about as long in a batch of any size, but
for what a step takes besides its images: that is all where networks are tiny."""

LONG_S = 1.5
"""What takes longer is not measured again with more images."""


def of_few(measure: Callable[[int], T], batch: int, device: torch.device) -> T:
    """What is measured with a few images of a batch, or with all of them on a GPU, which larger
    batches use better."""
    if device.type == "cuda":
        return measure(batch)
    for images in FEW:
        started = time.perf_counter()
        found = measure(min(images, batch))
        if images >= batch or time.perf_counter() - started >= LONG_S:
            break
    return found


class Held:
    """The `most` bytes of maps that any of some forward passes, each followed by its backward pass,
    holds for that one."""

    def __init__(self, images: int) -> None:
        self.most = 0
        self._images = images
        self._maps: dict[int, int] = {}
        self._backwards = False

    def pack(self, tensor: Tensor) -> Tensor:
        """A tensor is held. What has another first side than a batch is no map."""
        if self._backwards:
            self._maps, self._backwards = {}, False
        if tensor.dim() and tensor.shape[0] == self._images:
            storage = tensor.untyped_storage()
            self._maps[storage.data_ptr()] = storage.nbytes()
            self.most = max(self.most, sum(self._maps.values()))
        return tensor.detach()

    def unpack(self, tensor: Tensor) -> Tensor:
        """The backward pass takes one."""
        self._backwards = True
        return tensor

    def more(self, batch: int) -> int:
        """The bytes that a batch holds beyond those of the images that were seen."""
        return self.most * (batch - self._images) // self._images


@contextmanager
def held(images: int) -> Iterator[Held]:
    """What passes of so many images hold while this is open."""
    found = Held(images)
    with torch.autograd.graph.saved_tensors_hooks(found.pack, found.unpack):
        yield found
