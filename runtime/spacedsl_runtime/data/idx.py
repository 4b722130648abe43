"""IDX files (the format of MNIST), gzipped: read with bounds, whatever their headers claim."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from spacedsl_runtime.data.split import Bytes
from spacedsl_runtime.errors import DataError

UNSIGNED_BYTES = 0x08
MAX_BYTES = 1 << 30


def read_idx(path: Path, dimensions: int) -> Bytes:
    """The array of a gzipped IDX file of unsigned bytes. Raises `DataError` for one that is
    missing, damaged, of other dimensions, larger than 1 GB, or longer or shorter than it says."""
    try:
        with gzip.open(path) as file:
            magic = file.read(4)
            if magic != bytes((0, 0, UNSIGNED_BYTES, dimensions)):
                raise DataError(f"{path} is no IDX file of bytes with {dimensions} dimensions")
            sizes = np.frombuffer(_exactly(file, 4 * dimensions, path), ">u4")
            shape = tuple(int(s) for s in sizes)
            count = prod(shape)
            if count > MAX_BYTES:
                raise DataError(f"{path} claims {count:,} bytes, more than {MAX_BYTES:,}")
            data = _exactly(file, count, path)
            if file.read(1):
                raise DataError(f"{path} holds more than the {count:,} bytes it claims")
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {why}") from None
    return np.frombuffer(data, np.uint8).reshape(shape)


def _exactly(file: gzip.GzipFile, count: int, path: Path) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise DataError(f"{path} ends after {len(data):,} of {count:,} bytes")
    return data
