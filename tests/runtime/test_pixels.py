"""Pixel modes: what an image shows is what a network sees, or the mode is refused by name."""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageMode

from spacedsl_runtime.data import decode
from spacedsl_runtime.data.decode import (
    DIRECT,
    FORMATS,
    SIXTEEN,
    UnreadableError,
    decoder_of,
    open_source,
    to_rgb,
)
from spacedsl_runtime.data.split import Bytes
from spacedsl_runtime.data.views import plain_view, training_view
from spacedsl_runtime.errors import DataError

INSTALLED = [d for d in decode.DECODERS if d == "pillow" or importlib.util.find_spec(d)]


def rgb(data: bytes, decoder: decode.Decoder = "pillow") -> Bytes:
    found = np.asarray(open_source("it", lambda: data, decoder).decode(1))
    assert found.ndim == 3
    assert found.shape[2] == 3
    return found


def saved(image: Image.Image, format: str = "PNG", **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **more)
    return file.getvalue()


def png(
    kind: int, depth: int, rows: list[bytes], width: int, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG file of any colour type and depth, which Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


RAMP = (0, 128, 257, 32_768, 65_407, 65_535)
EIGHT = (0, 0, 1, 128, 255, 255)


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    words = struct.pack(f">{len(RAMP)}H", *RAMP)
    grey = png(0, 16, [words], len(RAMP))
    assert rgb(grey)[0, :, 0].tolist() == list(EIGHT)
    pgm = b"P5 6 1 65535\n" + words
    assert rgb(pgm)[0, :, 1].tolist() == list(EIGHT)
    low = b"P5 3 1 1000\n" + struct.pack(">3H", 0, 500, 1000)
    assert rgb(low)[0, :, 0].tolist() == [0, 128, 255]
    colours = png(2, 16, [struct.pack(">6H", 65535, 32768, 0, 257, 514, 65535)], 2)
    assert np.abs(rgb(colours)[0].astype(int) - [[255, 128, 0], [1, 2, 255]]).max() <= 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (saved(Image.new("P", (2, 2)), "GIF"), "this is a GIF file, not JPEG, PNG"),
        (saved(Image.new("I;16", (2, 2)), "TIFF"), "this is a TIFF file"),
        (b"<html>404</html>", "no JPEG, PNG, WEBP, BMP or PPM, or is damaged"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(data: bytes, why: str) -> None:
    for decoder in INSTALLED:
        with pytest.raises(UnreadableError, match=why):
            rgb(data, decoder)


def test_what_is_transparent_shows_white_and_no_hidden_colour() -> None:
    hidden = Image.new("RGBA", (4, 1), (255, 0, 0, 0))
    hidden.putpixel((1, 0), (0, 0, 255, 255))
    hidden.putpixel((2, 0), (0, 0, 0, 128))
    wanted = [[255, 255, 255], [0, 0, 255], [127, 127, 127], [255, 255, 255]]
    for format in ("PNG", "WEBP"):
        data = saved(
            hidden, format, **({"lossless": True, "exact": True} if format == "WEBP" else {})
        )
        assert rgb(data)[0].tolist() == wanted
    assert rgb(saved(hidden.convert("LA")))[0, 0].tolist() == [255] * 3


def test_palettes_and_transparent_colours() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    for i in range(3):
        image.putpixel((i, 0), i)
    assert rgb(saved(image))[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    for transparency in (0, bytes((0, 255, 255))):
        data = saved(image, transparency=transparency)
        assert rgb(data)[0].tolist() == [[255, 255, 255], [0, 255, 0], [0, 0, 255]]
    key = Image.new("RGB", (2, 1), (9, 8, 7))
    key.putpixel((1, 0), (9, 8, 6))
    assert rgb(saved(key, transparency=(9, 8, 7)))[0].tolist() == [[255] * 3, [9, 8, 6]]
    grey = png(0, 16, [struct.pack(">2H", 1000, 1001)], 2, (b"tRNS", struct.pack(">H", 1000)))
    assert rgb(grey)[0].tolist() == [[255] * 3, [4] * 3]
    deep = png(
        2, 16, [struct.pack(">6H", 1000, 2000, 3000, 0, 0, 0)], 2,
        (b"tRNS", struct.pack(">3H", 1000, 2000, 3000)),
    )  # fmt: skip
    assert rgb(deep)[0].tolist() == [[255] * 3, [0] * 3]


def test_one_bit_cmyk_and_grey() -> None:
    assert rgb(saved(Image.new("1", (2, 2), 1))).min() == 255
    assert rgb(saved(Image.new("L", (2, 2), 77)))[0, 0].tolist() == [77] * 3
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for decoder in INSTALLED:
        red = rgb(saved(ink, "JPEG", quality=100), decoder)[8, 8].astype(int)
        assert np.abs(red - [255, 0, 0]).max() < 12


def test_every_mode_of_pillow_has_a_rule_or_is_refused_by_name() -> None:
    modes = [*Image.MODES, "F", "LAB", "La", "RGBa", "I"]
    assert not DIRECT - {*modes, "RGBX", "PA"}
    for mode in modes:
        image = Image.new(mode, (2, 2))
        if mode in DIRECT | SIXTEEN:
            assert to_rgb(image).mode == "RGB"
            assert ImageMode.getmode(mode).mode == mode
        else:
            with pytest.raises(ValueError, match=f"pixels of mode {mode} have no rule"):
                to_rgb(image)


def test_a_refused_mode_is_named_with_its_file() -> None:
    data = b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 1.0)
    assert "PPM" in FORMATS
    with pytest.raises(UnreadableError) as caught:
        rgb(data)
    assert (caught.value.name, caught.value.why) == ("it", "pixels of mode F have no rule here")


def photo() -> Image.Image:
    """640 x 427."""
    samples: Any = pytest.importorskip("sklearn.datasets")
    return Image.fromarray(samples.load_sample_images().images[0])


@pytest.mark.parametrize("decoder", INSTALLED)
def test_a_large_photo_is_decoded_small_and_looks_the_same(
    decoder: decode.Decoder,
) -> None:
    data = saved(photo(), "JPEG", quality=95)
    asked: list[int] = []

    def source(*, scaled: bool) -> decode.Source:
        found = open_source("it", lambda: data, decoder)

        def decoded(smaller: int) -> Image.Image:
            asked.append(smaller)
            return found.decode(smaller if scaled else 1)

        return found._replace(decode=decoded)

    def alike(one: Image.Image, other: Image.Image) -> None:
        a, b = np.asarray(one).astype(float), np.asarray(other).astype(float)
        assert np.abs(a - b).mean() < 4
        assert energy(a) / energy(b) == pytest.approx(1, abs=0.06)

    for size, least in ((20, 8), (40, 4), (80, 2), (160, 1)):
        small = plain_view(source(scaled=True), size, "photo")
        assert asked[-1] == least
        alike(small, plain_view(source(scaled=False), size, "photo"))
    for seed in range(8):
        one, two, full = (
            training_view(source(scaled=scaled), 24, "photo", np.random.default_rng(seed))
            for scaled in (True, True, False)
        )
        assert one.tobytes() == two.tobytes()
        alike(one, full)


def energy(view: NDArray[np.float64]) -> float:
    """Of gradients."""
    return float((np.diff(view, axis=0) ** 2).mean() + (np.diff(view, axis=1) ** 2).mean())


def test_a_jpeg_that_is_cut_off_is_unreadable_for_every_decoder() -> None:
    data = saved(photo().crop((0, 0, 64, 64)), "JPEG")
    for decoder in INSTALLED:
        assert rgb(data, decoder).shape == (64, 64, 3)
        with pytest.raises(UnreadableError, match=r"(?i)truncated"):
            rgb(data[: len(data) // 2], decoder)


def test_decoders_are_known_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoder_of("pillow") == "pillow"
    with pytest.raises(DataError, match="no decoder `gpu`"):
        decoder_of("gpu")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert decoder_of(None) == "pillow"
    with pytest.raises(DataError, match="simplejpeg is not installed"):
        decoder_of("simplejpeg")
