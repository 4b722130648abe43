"""Images, spectrograms or anything else of the kind as arrays in an `.npz` file of numpy's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.data.source import DataSource, Defaults
from spacedsl_runtime.data.split import Data, Labels, Pixels, hash_of_pixels
from spacedsl_runtime.errors import DataError

HELP = "write it as numpy.savez(FILE, images=..., labels=...), with test_images, test_labels or not"
HELD_EVERY = 5
"""Every fifth image is for tests where the file has none."""


def _open(spec: str, where: str, decoder: str | None) -> Data:
    """`images` (N, H, W) or (N, H, W, C) with `labels` (N,), and `test_images` with `test_labels`;
    without these every fifth image is for tests. Bytes are taken as they are, other numbers from 0
    to 1 as shares of 255."""
    from spacedsl.compiler.integer_model import read_arrays
    from spacedsl.diagnostics import SpaceError

    try:
        found = read_arrays(Path(where))
    except OSError as error:
        raise DataError(f"{where}: {error.strerror or error}", HELP) from None
    except (ValueError, EOFError, KeyError, SpaceError) as error:
        raise DataError(f"{where} cannot be read: {error}", HELP) from None
    except Exception as error:  # whatever zipfile finds in a damaged file
        raise DataError(f"{where} is no .npz file: {error}", HELP) from None
    train = _pixels(found, "", where)
    if "test_images" in found:
        test = _pixels(found, "test_", where)
        if test.pixels.shape[1:] != train.pixels.shape[1:]:
            raise DataError(f"{where}: images for training and tests differ in size", HELP)
    else:
        held = np.arange(len(train.labels)) % HELD_EVERY == 0
        train, test = train.some(np.flatnonzero(~held)), train.some(np.flatnonzero(held))
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    channels = train.pixels.shape[3] if train.pixels.ndim == 4 else 1
    names = tuple(map(str, range(classes)))
    return Data(spec, hash_of_pixels(train, test), channels, names, train, test, "shift")


def _pixels(found: Mapping[str, NDArray[np.generic]], which: str, where: str) -> Pixels:
    images, labels = found.get(f"{which}images"), found.get(f"{which}labels")
    if images is None or labels is None:
        raise DataError(f"{where} lacks {which}images or {which}labels", HELP)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)) or not images.size:
        message = f"{where}: {which}images has the shape {images.shape}"
        raise DataError(message, "images are (N, H, W), or (N, H, W, C) of one or three channels")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        message = f"{where}: {which}labels are {labels.dtype} {labels.shape}"
        raise DataError(message, "labels are whole numbers from 0, one for each image")
    if images.dtype != np.uint8:
        values = images.astype(np.float64)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            message = f"{where}: {which}images has numbers that are not from 0 to 1"
            raise DataError(message, "scale them to 0..1, or to bytes (uint8)")
        images = np.rint(values * 255).astype(np.uint8)
    kept: Labels = labels.astype(np.int64)
    return Pixels(np.ascontiguousarray(images, np.uint8), kept)


ARRAYS = DataSource(
    name="npz",
    usage="npz:FILE",
    open=_open,
    defaults=Defaults(30, 64, 0.4, 2.0, 1e-4, 6, 64, 0.5),
)
