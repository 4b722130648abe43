"""Take a few pictures out of Fashion-MNIST: 20 of each class to test with, and three as PNG files.

    python make_images.py /usr/share/datasets/fashion-mnist

Fashion-MNIST (Zalando SE, 2017) is under the MIT licence; see LICENSE.fashion-mnist. It needs numpy
and Pillow.
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

HERE = Path(__file__).parent
EACH, TRAIN = 20, 10
SHOWN = {"boot": 9, "trouser": 1, "bag": 8}
"""Name of a PNG file -> its class."""


def read(path: Path) -> Bytes:
    """An IDX file of bytes."""
    data = gzip.decompress(path.read_bytes())
    sizes = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def write(path: Path, values: Bytes) -> None:
    """An IDX file of bytes; the same bytes each time."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes(), mtime=0))


def main(source: Path) -> None:
    """Write images/ and the PNG files beside this file."""
    out = HERE / "images"
    out.mkdir(exist_ok=True)
    for part, each in (("t10k", EACH), ("train", TRAIN)):
        images = read(source / f"{part}-images-idx3-ubyte.gz")
        labels = read(source / f"{part}-labels-idx1-ubyte.gz")
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(10)]))
        write(out / f"{part}-images-idx3-ubyte.gz", images[chosen])
        write(out / f"{part}-labels-idx1-ubyte.gz", labels[chosen])
        if part == "t10k":
            for name, label in SHOWN.items():
                picture = images[np.flatnonzero(labels == label)[0]]
                Image.fromarray(np.pad(picture, 2)).save(HERE / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
