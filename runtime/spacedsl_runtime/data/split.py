"""Data: splits of images with labels, and what is known of all of them. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]

Augment = Literal["photo", "shift", "shift-flip"]
"""How training views differ from plain ones (`views.py`)."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")
MAX_PIXELS = 64 << 20
"""Of one image: a file of some bytes can claim to hold any number."""


class UnreadableError(Exception):
    """An image that cannot be decoded: its name and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why


@runtime_checkable
class Split(Protocol):
    """Images in a fixed order. `labels` (N,) are indices of classes, all 0 where there are none."""

    @property
    def labels(self) -> Labels:
        """(N,)."""

    def image(self, index: int) -> Image:
        """A grey or RGB image. Raises `UnreadableError`."""

    def some(self, indices: NDArray[np.int64]) -> Split:
        """The images at `indices`, in that order."""


@dataclass(frozen=True)
class Pixels:
    """Images in memory: `pixels` (N, H, W), grey."""

    pixels: Bytes = field(repr=False)
    labels: Labels = field(repr=False)

    def image(self, index: int) -> Image:
        """A grey image."""
        from PIL import Image

        return Image.fromarray(self.pixels[index])

    def some(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at `indices`."""
        return Pixels(self.pixels[indices], self.labels[indices])


@dataclass(frozen=True)
class Files:
    """Images in files below `root`, decoded as RGB when asked for."""

    root: Path
    paths: tuple[str, ...] = field(repr=False)
    labels: Labels = field(repr=False)

    def image(self, index: int) -> Image:
        """An RGB image, its orientation as stored (like torchvision). Raises `UnreadableError`."""
        from PIL import Image

        path = self.root / self.paths[index]
        try:
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ValueError(f"{width} x {height} pixels are too many")
                return image.convert("RGB")
        except Exception as error:  # decoders raise whatever they meet in a damaged file
            raise UnreadableError(str(path), str(error) or type(error).__name__) from None

    def some(self, indices: NDArray[np.int64]) -> Files:
        """The images at `indices`."""
        paths = tuple(self.paths[i] for i in indices.tolist())
        return Files(self.root, paths, self.labels[indices])


@dataclass(frozen=True)
class Data:
    """`spec` as on the command line; `hash` tells two data sets apart (labels and pixels, or
    names and sizes of files). `labels`: names of the classes, empty
    for unlabelled images."""

    spec: str
    hash: str
    channels: int
    labels: tuple[str, ...]
    train: Split
    test: Split
    augment: Augment

    @property
    def classes(self) -> int:
        """How many classes."""
        return len(self.labels)


class Unreadables:
    """The images met that cannot be read: each is named once; too many are an error."""

    def __init__(self, limit: int, warn: Callable[[str], None], names: Sequence[str] = ()) -> None:
        self.limit, self._warn = limit, warn
        self.names = list(names)

    def add(self, name: str, why: str) -> None:
        """Raises `DataError` beyond the limit."""
        if name in self.names:
            return
        self.names.append(name)
        self._warn(f"cannot read {name}: {why}; left out")
        if len(self.names) > self.limit:
            shown = ", ".join(self.names[:3])
            raise DataError(
                f"{len(self.names)} images cannot be read, more than {self.limit}: {shown}, ...",
                "repair or remove them",
            )


def unreadable_limit(count: int) -> int:
    """How many of `count` images may be unreadable: 1 %, at least 10."""
    return max(10, count // 100)


def hash_of_pixels(*splits: Pixels) -> str:
    """Over all pixels and labels."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(split.pixels.shape).encode())
        digest.update(np.ascontiguousarray(split.pixels).tobytes())
        digest.update(split.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def hash_of_files(*splits: Files) -> str:
    """Over names, sizes and labels: reading every picture of ImageNet would take an hour."""
    digest = hashlib.sha256()
    for split in splits:
        for path, label in zip(split.paths, split.labels, strict=True):
            size = (split.root / path).stat().st_size
            digest.update(f"{path}\0{size}\0{label}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()
