"""Data: splits of images with labels, and what is known of all of them. Imports no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.data.decode import Decoder, Source, open_source, whole
from spacedsl_runtime.data.folders import cannot_read, shown
from spacedsl_runtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

Augment = Literal["photo", "shift", "shift-flip"]
"""How training views differ from plain ones (`views.py`)."""

MAX_BYTES = 1 << 28
"""Of one file."""


@runtime_checkable
class Split(Protocol):
    """Images in a fixed order. `labels` (N,) are indices of classes, all 0 where there are none."""

    @property
    def labels(self) -> Labels:
        """(N,)."""

    def source(self, index: int) -> Source:
        """A grey or RGB image, to be decoded. Raises `UnreadableError`."""

    def image(self, index: int) -> Image:
        """The same, decoded."""

    def some(self, indices: Indices) -> Split:
        """The images at `indices`, in that order."""


@dataclass(frozen=True)
class Pixels:
    """Images in memory: `pixels` (N, H, W), grey, or (N, H, W, 3), RGB."""

    pixels: Bytes = field(repr=False)
    labels: Labels = field(repr=False)

    def source(self, index: int) -> Source:
        """An image of them."""
        return whole(self.image(index))

    def image(self, index: int) -> Image:
        """The same, as a picture."""
        from PIL import Image

        return Image.fromarray(self.pixels[index])

    def some(self, indices: Indices) -> Pixels:
        """The images at `indices`."""
        return Pixels(self.pixels[indices], self.labels[indices])


@dataclass(frozen=True)
class Files:
    """Images in files below `root`, decoded as RGB when asked for."""

    root: Path
    paths: tuple[str, ...] = field(repr=False)
    labels: Labels = field(repr=False)
    decoder: Decoder

    def source(self, index: int) -> Source:
        """An RGB image, its orientation as stored (like torchvision). Raises `UnreadableError`."""
        path = self.root / self.paths[index]
        return open_source(shown(str(path)), lambda: read_bytes(path), self.decoder)

    def image(self, index: int) -> Image:
        """The same, decoded."""
        return self.source(index).decode(1)

    def some(self, indices: Indices) -> Files:
        """The images at `indices`."""
        paths = tuple(self.paths[i] for i in indices.tolist())
        return replace(self, paths=paths, labels=self.labels[indices])


@dataclass(frozen=True)
class Data:
    """`spec` as on the command line; `hash` tells two data sets apart (labels and pixels, or
    names and sizes of files). `labels`: names of the classes, empty for unlabelled images.
    `decoder`: of files. `left_out`: what of a folder is not read and why, on one line. `doubt`:
    what else than classes its folders may be."""

    spec: str
    hash: str
    channels: int
    labels: tuple[str, ...]
    train: Split
    test: Split
    augment: Augment
    decoder: Decoder | None = None
    left_out: str = ""
    doubt: str = ""

    @property
    def classes(self) -> int:
        """How many classes."""
        return len(self.labels)


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises `ValueError` for one that is too large."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file has more than {MAX_BYTES:,} bytes")
    return data


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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise cannot_read(path, error) from None


def hash_of_files(*splits: Files) -> str:
    """Over names, sizes and labels: reading every picture of ImageNet would take an hour."""
    digest = hashlib.sha256()
    for split in splits:
        for path, label in zip(split.paths, split.labels, strict=True):
            size = _size(split.root / path)
            digest.update(os.fsencode(path) + f"\0{size}\0{label}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()
