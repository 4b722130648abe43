"""Encoded images to RGB pixels: by which library, at which scale, and what pixel modes mean.

Every mode has a rule or is refused by name, so that no image becomes another one in silence:

    1, L, RGB, RGBX, HSV, YCbCr, CMYK   converted; colour profiles are not applied
    P, PA, LA, RGBA, a transparent colour   seen on white, as most viewers show them
    I;16 of any byte order, I of PNG and PPM   65,535 becomes 255
    anything else (F, LAB, premultiplied alpha, I of other files)   refused"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Decoder = Literal["simplejpeg", "pillow"]
"""What decodes JPEG; Pillow does the rest. Views have the same bytes for the same decoder."""

DECODERS: tuple[Decoder, ...] = get_args(Decoder)
"""The fastest first."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM")
MAX_PIXELS = 64 << 20
"""Of one image: a file of some bytes can claim to hold any number."""

SMALLER = (8, 4, 2, 1)
"""By which a JPEG file can be decoded smaller, for less time."""

DIRECT = {"1", "L", "RGB", "RGBX", "HSV", "YCbCr", "CMYK", "P", "PA", "LA", "RGBA"}
SIXTEEN = {"I;16", "I;16L", "I;16B", "I;16N"}
SIXTEEN_AS_I = ("PNG", "PPM")
"""Formats whose pixels of mode `I` have 16 bits."""

BEHIND = (255, 255, 255, 255)
"""What transparent pixels show."""

JPEG_START = b"\xff\xd8\xff"


class UnreadableError(Exception):
    """An image that cannot be decoded: its name and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why


class Source(NamedTuple):
    """An image that is not decoded yet: its width and height, and what decodes it, smaller by one
    of `SMALLER` where the format can. Both raise `UnreadableError`."""

    extent: tuple[int, int]
    decode: Callable[[int], Image]


def whole(image: Image) -> Source:
    """An image that is decoded already."""
    return Source(image.size, lambda _: image)


def decoder_of(asked: str | None) -> Decoder:
    """The decoder that is asked for, else the fastest that is installed. Raises `DataError`."""
    for name in DECODERS:
        if asked in (None, name) and (name == "pillow" or importlib.util.find_spec(name)):
            return name
    if asked in DECODERS:
        raise DataError(f"the decoder {asked} is not installed", f"pip install {asked}")
    raise DataError(f"there is no decoder `{asked}`", f"known: {', '.join(DECODERS)}")


def open_source(name: str, read: Callable[[], bytes], decoder: Decoder) -> Source:
    """The image in the bytes of a file. Raises `UnreadableError`, which calls it `name`."""
    with _reading(name):
        data = read()
        found = _simplejpeg(data) if decoder == "simplejpeg" else None
        extent, decode = found or _pillow(data)
        if extent[0] * extent[1] > MAX_PIXELS:
            raise ValueError(f"{extent[0]} x {extent[1]} pixels are too many")

    def decoded(smaller: int) -> Image:
        with _reading(name):
            return decode(smaller)

    return Source(extent, decoded)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders raise whatever they meet in a damaged file
        raise UnreadableError(name, str(error) or type(error).__name__) from None


def _pillow(data: bytes) -> Source:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(_unknown(data)) from None
    width, height = image.size

    def decode(smaller: int) -> Image.Image:
        if smaller > 1:  # of JPEG only
            image.draft(None, (width // smaller, height // smaller))
        return to_rgb(image)

    return Source((width, height), decode)


OTHERS = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"%PDF": "PDF", b"PK": "ZIP"}
"""How files begin that are often called images, and what they are."""


def _unknown(data: bytes) -> str:
    """Why the bytes of a file are no image that is read here."""
    if not data:
        return "the file is empty"
    known = next((name for start, name in OTHERS.items() if data.startswith(start)), None)
    read = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    return f"this is a {known} file, not {read}" if known else f"this is no {read}, or is damaged"


def _simplejpeg(data: bytes) -> Source | None:
    """None for what simplejpeg cannot read, and for what Pillow is to judge."""
    if not data.startswith(JPEG_START):
        return None
    import simplejpeg
    from PIL import Image

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colours in ("CMYK", "YCCK"):
        return None

    def decode(smaller: int) -> Image.Image:
        least = {"min_height": -(-height // smaller), "min_width": -(-width // smaller)}
        try:
            return Image.fromarray(simplejpeg.decode_jpeg(data, **(least if smaller > 1 else {})))
        except ValueError:  # a warning is an error there; what is damaged is one for Pillow too
            return _pillow(data).decode(smaller)

    return Source((width, height), decode)


def to_rgb(image: Image) -> Image:
    """An image of any mode in RGB. Raises `ValueError` for a mode without a rule."""
    import PIL.Image

    if image.mode in SIXTEEN or (image.mode == "I" and image.format in SIXTEEN_AS_I):
        return _from_16_bits(image)
    if image.mode not in DIRECT:
        raise ValueError(f"pixels of mode {image.mode} have no rule here")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and "RGB;16" in str(getattr(image, "tile", "")):
        image.info["transparency"] = tuple(v >> 8 for v in key)  # Pillow keeps the higher bytes
    if not image.has_transparency_data:
        return image.convert("RGB")
    behind = PIL.Image.new("RGBA", image.size, BEHIND)
    return PIL.Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def _from_16_bits(image: Image) -> Image:
    import PIL.Image

    values: NDArray[np.int64] = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise ValueError("pixels have more than 16 bits")
    grey = ((values + 128) // 257).astype(np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey[values == key] = BEHIND[0]
    return PIL.Image.fromarray(grey).convert("RGB")
