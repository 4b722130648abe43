"""Fashion-MNIST: grey pictures of ten kinds of clothes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spacedsl_runtime.data.idx import read_idx
from spacedsl_runtime.data.source import DataSource, Defaults
from spacedsl_runtime.data.split import Bytes, Data, Pixels, hash_of_pixels
from spacedsl_runtime.errors import DataError

FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts it."""

LABELS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

PADDED = 32
"""Side of what 28 x 28 is padded to, in pixels."""


def _open(spec: str, where: str, decoder: str | None) -> Data:
    """70,000 grey pictures of clothes, 28 x 28, padded to 32 x 32."""
    folder = Path(where) if where else FOLDER
    if not folder.is_dir():
        help = "apt-get install dataset-fashion-mnist, or name a folder: fashion-mnist:DIR"
        raise DataError(f"there is no folder {folder}", help)
    train, test = _idx_pair(folder, "train"), _idx_pair(folder, "t10k")
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DataError(f"{folder}: images for training and tests differ in size")
    hash = hash_of_pixels(train, test)
    return Data(spec, hash, 1, LABELS, train, test, "shift-flip")


def _idx_pair(folder: Path, name: str) -> Pixels:
    images = read_idx(folder / f"{name}-images-idx3-ubyte.gz", 3)
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(labels):
        raise DataError(f"{folder}: {name} has {len(images)} images and {len(labels)} labels")
    count, height, width = images.shape
    if not count or height != width or not 0 < height <= 512:
        raise DataError(f"{folder}: {name} has {count} images of {height} x {width}")
    if labels.max() >= len(LABELS):
        raise DataError(f"{folder}: {name} has label {labels.max()}, the last is 9")
    edge = max(0, (PADDED - height) // 2)
    padded: Bytes = np.pad(images, ((0, 0), (edge, edge), (edge, edge)))
    return Pixels(padded, labels.astype(np.int64))


FASHION_MNIST = DataSource(
    name="fashion-mnist",
    usage="fashion-mnist[:DIR]",
    open=_open,
    defaults=Defaults(30, 128, 0.2, 1.0, 1e-4, 5, 128, 0.3),
)
