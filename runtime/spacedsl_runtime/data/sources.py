"""Data by name: `digits`, `fashion-mnist`, `imagefolder:PATH`, `photos:DIR`. Imports no torch."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np

from spacedsl_runtime.data.idx import read_idx
from spacedsl_runtime.data.split import (
    SUFFIXES,
    Bytes,
    Data,
    Files,
    Labels,
    Pixels,
    hash_of_files,
    hash_of_pixels,
)
from spacedsl_runtime.errors import DataError

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts it."""

FASHION_LABELS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

KNOWN = "digits, fashion-mnist[:DIR], imagefolder:PATH, photos:DIR"
PADDED = 32
"""Side of what 28 x 28 is padded to, in pixels."""

HELD_OUT = 10
"""Of a folder without a test split every tenth image of a class is held out."""

TEST_FOLDERS = ("val", "test", "validation")


def open_data(spec: str) -> Data:
    """The data that `spec` names. Raises `DataError`."""
    kind, _, where = spec.partition(":")
    if importlib.util.find_spec("PIL") is None:
        raise DataError("data need the package Pillow", "pip install 'spacedsl[train]'")
    if kind == "digits" and not where:
        return _digits()
    if kind == "fashion-mnist":
        return _fashion_mnist(spec, Path(where) if where else FASHION_MNIST)
    if kind == "imagefolder" and where:
        return _imagefolder(spec, Path(where))
    if kind == "photos" and where:
        return _photos(spec, Path(where))
    raise DataError(f"unknown data `{spec}`", f"known: {KNOWN}")


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


def _imagefolder(spec: str, root: Path) -> Data:
    """PATH/train/CLASS/image and PATH/val/CLASS/image, or PATH/CLASS/image."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    parts = [root / name for name in TEST_FOLDERS if (root / name).is_dir()]
    if (root / "train").is_dir():
        if not parts:
            raise DataError(f"{root} has `train`, but none of {', '.join(TEST_FOLDERS)}")
        labels = _classes(root / "train")
        _same_classes(root / "train", labels, parts[0], _classes(parts[0]))
        train, test = _labelled(root / "train", labels), _labelled(parts[0], labels)
    else:
        labels = _classes(root)
        train, test = _held_out(_labelled(root, labels))
    return Data(spec, hash_of_files(train, test), 3, labels, train, test, "photo")


def _classes(folder: Path) -> tuple[str, ...]:
    found = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    if not found:
        help = "expected: FOLDER/train/CLASS/image and FOLDER/val/CLASS/image"
        raise DataError(f"{folder} has no folders of classes", help)
    return found


def _same_classes(
    train: Path, train_labels: tuple[str, ...], test: Path, test_labels: tuple[str, ...]
) -> None:
    for here, mine, there, others in (
        (train, train_labels, test, test_labels),
        (test, test_labels, train, train_labels),
    ):
        if alone := sorted(set(mine) - set(others)):
            shown = ", ".join(alone[:5]) + (", ..." if len(alone) > 5 else "")
            raise DataError(f"{here} has classes that {there} has not: {shown}")


def _labelled(folder: Path, labels: tuple[str, ...]) -> Files:
    paths: list[str] = []
    numbers: list[int] = []
    for number, label in enumerate(labels):
        found = _images_below(folder, label)
        if not found:
            raise DataError(f"{folder / label} has no images ({', '.join(SUFFIXES)})")
        paths += found
        numbers += [number] * len(found)
    return Files(folder, tuple(paths), np.array(numbers, np.int64))


def _images_below(root: Path, below: str = "") -> list[str]:
    """Paths relative to root, in an order that no file system decides."""
    found: list[str] = []
    for folder, _, names in os.walk(root / below):
        here = Path(folder).relative_to(root)
        found += [str(here / n) for n in names if n.lower().endswith(SUFFIXES)]
    return sorted(found)


def _held_out(whole: Files) -> tuple[Files, Files]:
    seen: dict[int, int] = {}
    held = np.zeros(len(whole.labels), bool)
    for i, label in enumerate(whole.labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        held[i] = seen[label] % HELD_OUT == 0
    if not held.any():
        message = f"{whole.root}: no class has {HELD_OUT} images, so none is held out for tests"
        raise DataError(message, "make PATH/train/CLASS and PATH/val/CLASS")

    return whole.some(np.flatnonzero(~held)), whole.some(np.flatnonzero(held))


def _photos(spec: str, root: Path) -> Data:
    """All images below a folder, without labels; the same for training and tests."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    paths = tuple(_images_below(root))
    if not paths:
        raise DataError(f"{root} has no images ({', '.join(SUFFIXES)})")
    split = Files(root, paths, np.zeros(len(paths), np.int64))
    return Data(spec, hash_of_files(split), 3, (), split, split, "photo")
