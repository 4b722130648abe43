"""Handwritten digits, which scikit-learn brings: small enough for trying everything out."""

from __future__ import annotations

import numpy as np

from spacedsl_runtime.data.source import DataSource, Defaults
from spacedsl_runtime.data.split import Bytes, Data, Labels, Pixels, hash_of_pixels
from spacedsl_runtime.errors import DataError


def _open(spec: str, where: str, decoder: str | None) -> Data:
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


DIGITS = DataSource(
    name="digits",
    usage="digits",
    open=_open,
    defaults=Defaults(30, 64, 0.8, 2.0, 1e-4, 6, 64, 0.5),
)
