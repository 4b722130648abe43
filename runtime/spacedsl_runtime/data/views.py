"""Views: an image as one square that a network sees. Imports no torch.

Plain views are what a deployed network gets; training views are random, from a generator
of their own, so that they depend on no other image and on no worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.data.split import Augment, Bytes, Labels, Split, UnreadableError, Unreadables

if TYPE_CHECKING:
    from PIL.Image import Image

CROP_SHARE = 0.875
"""Of a photo's shorter side, the part that its plain view shows."""

SHIFT_SHARE = 1 / 8
"""Small images move by at most this part of their side."""

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of the crops of photos (Szegedy et al., CVPR 2015)."""


def plain_view(image: Image, size: int, augment: Augment) -> Image:
    """size x size: a photo's centre, any other image whole."""
    if augment != "photo":
        return _resized(image, size)
    width, height = image.size
    side = min(width, height) * CROP_SHARE
    left, top = (width - side) / 2, (height - side) / 2
    return _resized(image, size, (left, top, left + side, top + side))


def training_view(image: Image, size: int, augment: Augment, rng: np.random.Generator) -> Image:
    """size x size: of a photo a random crop, mirrored or not; of any other image a random shift,
    mirrored or not where mirroring keeps its class."""
    from PIL.Image import Transpose

    if augment == "photo":
        view = _resized(image, size, _crop(image.size, rng))
    else:
        reach = round(size * SHIFT_SHARE)
        dx, dy = (int(d) for d in rng.integers(-reach, reach + 1, 2))
        view = _resized(image, size).crop((dx, dy, dx + size, dy + size))
    if augment != "shift" and rng.random() < 0.5:
        view = view.transpose(Transpose.FLIP_LEFT_RIGHT)
    return view


def _crop(extent: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A random part of an image: its area and ratio uniform in their ranges where that fits."""
    width, height = extent
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        ratio = exp(rng.uniform(log(RATIO[0]), log(RATIO[1])))
        w, h = sqrt(area * ratio), sqrt(area / ratio)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _resized(
    image: Image, size: int, box: tuple[float, float, float, float] | None = None
) -> Image:
    from PIL.Image import Resampling

    if box is None and image.size == (size, size):
        return image
    return image.resize((size, size), Resampling.BILINEAR, box)


def to_array(image: Image) -> Bytes:
    """(C, H, W), C = 1 or 3."""
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def normalised(pixels: Bytes, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """(N, C, H, W) as float32: / 255, minus mean, over std, per channel."""
    shape = (1, -1, 1, 1)
    scale = 1 / (255 * np.asarray(std, np.float32).reshape(shape))
    shift = np.asarray(mean, np.float32).reshape(shape) / np.asarray(std, np.float32).reshape(shape)
    return pixels.astype(np.float32) * scale - shift


def plain_batches(
    split: Split, size: int, augment: Augment, batch: int, unreadables: Unreadables
) -> Iterator[tuple[Bytes, Labels]]:
    """All plain views in order: (N, C, size, size) and labels (N,). Unreadable images are left
    out. Raises `DataError` for too many of them."""
    count = len(split.labels)
    for start in range(0, count, batch):
        found: list[Bytes] = []
        labels: list[int] = []
        for index in range(start, min(start + batch, count)):
            try:
                view = plain_view(split.image(index), size, augment)
            except UnreadableError as error:
                unreadables.add(error.name, error.why)
                continue
            found.append(to_array(view))
            labels.append(int(split.labels[index]))
        if found:
            yield np.stack(found), np.array(labels, np.int64)
