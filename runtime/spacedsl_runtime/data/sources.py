"""Data by name: `digits`, `fashion-mnist`, `imagefolder:PATH`, `photos:DIR`, `webdataset:WHERE`.
Imports no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from spacedsl_runtime.data.decode import decoder_of
from spacedsl_runtime.data.folders import shown
from spacedsl_runtime.data.idx import read_idx
from spacedsl_runtime.data.imagefolder import open_imagefolder, open_photos
from spacedsl_runtime.data.shards import open_webdataset
from spacedsl_runtime.data.split import Bytes, Data, Labels, Pixels, hash_of_pixels
from spacedsl_runtime.errors import DataError

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts it."""

FASHION_LABELS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

KNOWN = "digits, fashion-mnist[:DIR], imagefolder:PATH, photos:DIR, webdataset:WHERE"
PADDED = 32
"""Side of what 28 x 28 is padded to, in pixels."""

IMAGES = {"imagefolder": open_imagefolder, "photos": open_photos, "webdataset": open_webdataset}
"""What is read from files."""


def open_data(spec: str, decoder: str | None = None) -> Data:
    """The data that `spec` names; `decoder`: of JPEG files, else the fastest that is installed.
    Raises `DataError`."""
    kind, _, where = spec.partition(":")
    if importlib.util.find_spec("PIL") is None:
        raise DataError("data need the package Pillow", "pip install 'spacedsl[train]'")
    if kind == "digits" and not where:
        return _digits()
    if kind == "fashion-mnist":
        return _fashion_mnist(spec, Path(where) if where else FASHION_MNIST)
    if kind in IMAGES and where:
        return IMAGES[kind](spec, Path(where), decoder_of(decoder))
    raise DataError(f"unknown data `{shown(spec)}`", f"known: {KNOWN}")


def _digits() -> Data:
    """1,797 handwritten digits of 8 x 8 with 17 shades; every fifth is for tests."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        help = "pip install 'spacedsl[train]'"
        raise DataError("digits need the package scikit-learn", help) from None
    found = load_digits()
    pixels: Bytes = np.round(np.asarray(found.images) * (255 / 16)).astype(np.uint8)
    labels: Labels = np.asarray(found.target).astype(np.int64)
    held = np.arange(len(labels)) % 5 == 0
    whole = Pixels(pixels, labels)
    train, test = whole.some(np.flatnonzero(~held)), whole.some(np.flatnonzero(held))
    names = tuple(str(n) for n in range(10))
    return Data("digits", hash_of_pixels(train, test), 1, names, train, test, "shift")


def _fashion_mnist(spec: str, folder: Path) -> Data:
    """70,000 grey pictures of clothes, 28 x 28, padded to 32 x 32."""
    if not folder.is_dir():
        help = "apt-get install dataset-fashion-mnist, or name a folder: fashion-mnist:DIR"
        raise DataError(f"there is no folder {folder}", help)
    train, test = _idx_pair(folder, "train"), _idx_pair(folder, "t10k")
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DataError(f"{folder}: images for training and tests differ in size")
    hash = hash_of_pixels(train, test)
    return Data(spec, hash, 1, FASHION_LABELS, train, test, "shift-flip")


def _idx_pair(folder: Path, name: str) -> Pixels:
    images = read_idx(folder / f"{name}-images-idx3-ubyte.gz", 3)
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(labels):
        raise DataError(f"{folder}: {name} has {len(images)} images and {len(labels)} labels")
    count, height, width = images.shape
    if not count or height != width or not 0 < height <= 512:
        raise DataError(f"{folder}: {name} has {count} images of {height} x {width}")
    if labels.max() >= len(FASHION_LABELS):
        raise DataError(f"{folder}: {name} has label {labels.max()}, the last is 9")
    edge = max(0, (PADDED - height) // 2)
    padded: Bytes = np.pad(images, ((0, 0), (edge, edge), (edge, edge)))
    return Pixels(padded, labels.astype(np.int64))
