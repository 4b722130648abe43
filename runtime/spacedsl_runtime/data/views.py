"""Views: an image as what a network sees, all of one size. Imports no torch.

Plain views are what a deployed network gets; training views are random, from a generator
of their own, so that they depend on no other image and on no worker."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spacedsl.operators.size import Size, pair
from spacedsl_runtime.data.decode import SMALLER, Source, UnreadableError
from spacedsl_runtime.data.split import Augment, Bytes, Labels, Pixels, Split, Unreadables

if TYPE_CHECKING:
    from PIL.Image import Image

CROP_SHARE = 0.875
"""Of a photo's shorter side, the part that its plain view shows."""

SHIFT_SHARE = 1 / 8
"""Small images move by at most this part of their side."""

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of the crops of photos (Szegedy et al., CVPR 2015)."""


SHARP = 2
"""How many times larger than a view what it is made of is decoded at least: at 2 views keep 98 % of
the gradient energy of those that are made of whole images, at 1 they keep 90 to 96 %."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def seen_share(augment: Augment) -> float:
    """The share of an image's shorter side that a plain view shows."""
    return CROP_SHARE if augment == "photo" else 1.0


def plain_view(source: Source, size: Size, augment: Augment) -> Image:
    """Of this size: a photo's centre, any other image whole."""
    share = seen_share(augment)
    if share == 1:
        return _resized(source, size)
    return _resized(source, size, _centre(source.extent, _ratio(size), share))


def training_view(source: Source, size: Size, augment: Augment, rng: np.random.Generator) -> Image:
    """Of this size: of a photo a random crop, mirrored or not; of any other image a random shift,
    mirrored or not where mirroring keeps its class."""
    from PIL.Image import Transpose

    height, width = pair(size)
    if augment == "photo":
        view = _resized(source, size, _crop(source.extent, _ratio(size), rng))
    else:
        across, down = (round(side * SHIFT_SHARE) for side in (width, height))
        dx, dy = (int(rng.integers(-reach, reach + 1)) for reach in (across, down))
        view = _resized(source, size).crop((dx, dy, dx + width, dy + height))
    if augment != "shift" and rng.random() < 0.5:
        view = view.transpose(Transpose.FLIP_LEFT_RIGHT)
    return view


def _ratio(size: Size) -> float:
    """Width by height."""
    height, width = pair(size)
    return width / height


def _centre(extent: tuple[int, int], ratio: float, share: float = 1.0) -> Box:
    """The middle of an image, of a ratio: this share of what fits into it."""
    width, height = extent
    w, h = min(width, height * ratio) * share, min(height, width / ratio) * share
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def _crop(extent: tuple[int, int], wanted: float, rng: np.random.Generator) -> Box:
    """A random part of an image: its area uniform in its range, its ratio around the wanted one,
    where that fits."""
    width, height = extent
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        ratio = exp(rng.uniform(log(RATIO[0]), log(RATIO[1]))) * wanted
        w, h = sqrt(area * ratio), sqrt(area / ratio)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    return _centre(extent, wanted)


def _resized(source: Source, size: Size, box: Box | None = None) -> Image:
    """A part of an image, decoded as small as it may be."""
    from PIL.Image import Resampling

    width, height = source.extent
    rows, columns = pair(size)
    if box is None and (height, width) == (rows, columns):
        return source.decode(1)
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    spare = min((right - left) / (columns * SHARP), (bottom - top) / (rows * SHARP))
    image = source.decode(next((by for by in SMALLER if by <= spare), 1))
    x, y = image.width / width, image.height / height
    part = (left * x, top * y, min(right * x, image.width), min(bottom * y, image.height))
    return image.resize((columns, rows), Resampling.BILINEAR, part)


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
    split: Split, size: Size, augment: Augment, batch: int, unreadables: Unreadables
) -> Iterator[tuple[Bytes, Labels]]:
    """All plain views in order: (N, C, rows, columns) and labels (N,). Unreadable images are left
    out. Files are read by threads, a batch ahead. Raises `DataError` for too many of them."""

    def view(index: int) -> Bytes | UnreadableError:
        try:
            return to_array(plain_view(split.source(index), size, augment))
        except UnreadableError as error:
            return error

    count = len(split.labels)
    parts = (range(i, min(i + batch, count)) for i in range(0, count, batch))
    for indices, views in _mapped(view, parts, serial=isinstance(split, Pixels)):
        found: list[Bytes] = []
        labels: list[int] = []
        for index, made in zip(indices, views, strict=True):
            if isinstance(made, UnreadableError):
                unreadables.add(made.name, made.why)
            else:
                found.append(made)
                labels.append(int(split.labels[index]))
        if found:
            yield np.stack(found), np.array(labels, np.int64)


Made = Bytes | UnreadableError


def _mapped(
    make: Callable[[int], Made], parts: Iterable[range], *, serial: bool
) -> Iterator[tuple[range, Iterable[Made]]]:
    """Every part and what is made of its indices; with threads one part ahead."""
    if serial:
        for part in parts:
            yield part, map(make, part)
        return
    pool = ThreadPoolExecutor(cores())
    try:
        waiting: deque[tuple[range, Iterable[Made]]] = deque()
        for part in parts:
            waiting.append((part, pool.map(make, part)))
            if len(waiting) > 1:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """How many CPU cores this process may use."""
    found = getattr(os, "sched_getaffinity", None)
    return len(found(0)) if found else os.cpu_count() or 1
