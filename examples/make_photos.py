"""Draw a small folder of photos to train on: circles, squares and triangles before noise.

    python examples/make_photos.py photos           # photos/CLASS/NUMBER.jpg, 60 of each class

It needs numpy and Pillow. The same command draws the same pictures, which are in the public domain.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 120, 96


def corners(kind: str, x: int, y: int, r: int) -> list[tuple[int, int]]:
    """Of a square or a triangle about a point."""
    if kind == "square":
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    return [(x, y - r), (x + r, y + r), (x - r, y + r)]


def picture(kind: str, rng: np.random.Generator) -> Image.Image:
    """One shape of any colour and size, not far from the middle."""
    found = Image.fromarray(rng.integers(0, 120, (HEIGHT, WIDTH, 3), np.uint8))
    colour = tuple(int(v) for v in rng.integers(130, 256, 3))
    x, y = WIDTH // 2 + int(rng.integers(-12, 13)), HEIGHT // 2 + int(rng.integers(-8, 9))
    r = int(rng.integers(16, 32))
    draw = ImageDraw.Draw(found)
    if kind == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    else:
        draw.polygon(corners(kind, x, y, r), fill=colour)
    return found


def main(folder: Path, count: int) -> None:
    """Write `count` pictures of each class."""
    rng = np.random.default_rng(0)
    for kind in ("circle", "square", "triangle"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            picture(kind, rng).save(folder / kind / f"{i:03}.jpg", quality=92)
        print(f"{folder / kind}: {count} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
