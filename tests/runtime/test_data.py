"""Data from outside: what is read is what is there, and what cannot be read is said."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacedsl_runtime.data.decode import whole
from spacedsl_runtime.data.fashion_mnist import FOLDER
from spacedsl_runtime.data.idx import MAX_BYTES, read_idx
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Bytes, Files, Unreadables, unreadable_limit
from spacedsl_runtime.data.views import normalised, plain_batches, plain_view, training_view
from spacedsl_runtime.errors import DataError


def write_idx(path: Path, array: Bytes, claimed: tuple[int, ...] | None = None) -> None:
    shape = claimed or array.shape
    head = bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
    path.write_bytes(gzip.compress(head + array.tobytes(), 1))


def write_fashion(folder: Path, train: int = 40, test: int = 10) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", pixels)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)


def write_photo(path: Path, size: tuple[int, int], shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(shade).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(noise).save(path)


def write_folders(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> None:
    for part in ("train", "val"):
        for label in classes:
            for i in range(count):
                write_photo(root / part / label / f"{i}.png", (40, 30), i)


def ignore(message: str) -> None:
    del message


def test_digits_are_the_published_ones() -> None:
    data = open_data("digits")
    assert (data.channels, data.classes) == (1, 10)
    assert len(data.train.labels) + len(data.test.labels) == 1797
    assert np.bincount(data.test.labels, minlength=10).min() > 25
    assert data.hash == open_data("digits").hash
    (images, labels), *_ = plain_batches(
        data.test, 24, data.augment, 1000, Unreadables(0, pytest.fail)
    )
    assert images.shape == (360, 1, 24, 24)
    assert np.array_equal(labels, data.test.labels)
    assert images.max() > 240
    assert images.min() == 0


def test_fashion_mnist_is_padded(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    data = open_data(f"fashion-mnist:{tmp_path}")
    assert (data.channels, data.classes) == (1, 10)
    pixels = np.asarray(data.train.image(3))
    assert pixels.shape == (32, 32)
    assert not pixels[:2].any()
    assert not pixels[:, -2:].any()
    raw = read_idx(tmp_path / "train-images-idx3-ubyte.gz", 3)
    assert np.array_equal(pixels[2:30, 2:30], raw[3])


@pytest.mark.skipif(not FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_debian_package_is_read() -> None:
    data = open_data("fashion-mnist")
    assert (len(data.train.labels), len(data.test.labels)) == (60_000, 10_000)


def test_damaged_idx_files(tmp_path: Path) -> None:
    path, array = tmp_path / "a.gz", np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    write_idx(path, array)
    assert np.array_equal(read_idx(path, 3), array)
    whole = path.read_bytes()
    for content, message in (
        (whole[:-12], "cannot read"),
        (b"not gzip", "cannot read"),
        (whole[:20] + b"\xff\xff" + whole[22:], "cannot read|claims"),
        (gzip.compress(b"\0\0\x08\x03"), "ends after 0 of 12 bytes"),
        (gzip.compress(b"\0\0\x0d\x03" + bytes(12)), "no IDX file of bytes with 3 dim"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path, 3)
    write_idx(path, array, (3, 2, 3))
    with pytest.raises(DataError, match="ends after 12 of 18 bytes"):
        read_idx(path, 3)
    write_idx(path, array, (1, 2, 2))
    with pytest.raises(DataError, match="more than the 4 bytes it claims"):
        read_idx(path, 3)
    write_idx(path, array, (MAX_BYTES, 4, 4))
    with pytest.raises(DataError, match="claims 17,179,869,184 bytes"):
        read_idx(path, 3)
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "none.gz", 3)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A gigabyte of zeros behind a header that claims four bytes."""
    path = tmp_path / "bomb.gz"
    head = bytes((0, 0, 8, 1)) + struct.pack(">I", 4)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    packed = packer.compress(head) + b"".join(packer.compress(block) for _ in range(256))
    path.write_bytes(packed + packer.flush())
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "import sys, pathlib, spacedsl_runtime.data.idx as idx\n"
        "try: idx.read_idx(pathlib.Path(sys.argv[1]), 1)\n"
        "except ValueError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(path)]
    env = {"OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    result = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert "holds more than the 4 bytes it claims" in result.stdout


def test_fashion_mnist_that_does_not_fit_together(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    write_idx(path, np.zeros(39, np.uint8))
    with pytest.raises(DataError, match="40 images and 39 labels"):
        open_data(f"fashion-mnist:{tmp_path}")
    write_idx(path, np.full(40, 10, np.uint8))
    with pytest.raises(DataError, match="label 10, the last is 9"):
        open_data(f"fashion-mnist:{tmp_path}")


def test_folders_as_torchvision_reads_them(tmp_path: Path) -> None:
    write_folders(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    data = open_data(f"imagefolder:{tmp_path}")
    assert data.labels == ("cat", "dog")
    assert data.channels == 3
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert isinstance(data.train, Files)
    assert data.train.paths[4] == "dog/1.png"
    write_photo(tmp_path / "train" / "cat" / "0.png", (41, 30))
    assert open_data(f"imagefolder:{tmp_path}").hash != data.hash


def test_one_folder_holds_out_every_tenth(tmp_path: Path) -> None:
    for i in range(21):
        write_photo(tmp_path / "a" / f"{i:02}.png", (8, 8), i)
        write_photo(tmp_path / "b" / f"{i:02}.png", (8, 8), i)
    data = open_data(f"imagefolder:{tmp_path}")
    assert isinstance(data.test, Files)
    assert data.test.paths == ("a/09.png", "a/19.png", "b/09.png", "b/19.png")
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert len(data.train.labels) == 38


def test_photos_have_no_labels(tmp_path: Path) -> None:
    write_photo(tmp_path / "b.jpg", (9, 9))
    write_photo(tmp_path / "deep" / "a.png", (9, 9))
    data = open_data(f"photos:{tmp_path}")
    assert data.classes == 0
    assert isinstance(data.train, Files)
    assert data.train.paths == ("b.jpg", "deep/a.png")


def test_wrong_folders(tmp_path: Path) -> None:
    def refused(spec: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            open_data(spec)

    refused("cifar", "unknown data `cifar`")
    refused("digits:x", "unknown data `digits:x`")
    refused("imagefolder:", "unknown data")
    refused(f"imagefolder:{tmp_path / 'none'}", "there is no folder")
    refused(f"fashion-mnist:{tmp_path / 'none'}", "there is no folder")
    refused(f"photos:{tmp_path}", "has no images")
    refused(f"imagefolder:{tmp_path}", "has no folders of classes")
    write_folders(tmp_path, ("cat", "dog"))
    write_photo(tmp_path / "val" / "emu" / "0.png", (9, 9))
    refused(f"imagefolder:{tmp_path}", "val has classes that .*train has not: emu")
    (tmp_path / "train" / "emu").mkdir()
    refused(f"imagefolder:{tmp_path}", "emu has no images")


def test_unreadable_images_are_named_counted_and_limited(tmp_path: Path) -> None:
    write_folders(tmp_path, count=4)
    whole = (tmp_path / "val" / "cat" / "0.png").read_bytes()
    (tmp_path / "val" / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "val" / "dog" / "2.png").write_bytes(b"MZ")
    data = open_data(f"imagefolder:{tmp_path}")
    said: list[str] = []
    for _ in range(2):
        batches = list(
            plain_batches(data.test, 16, data.augment, 3, found := Unreadables(2, said.append))
        )
        assert [len(labels) for _, labels in batches] == [2, 3, 1]
    assert [Path(n).name for n in found.names] == ["1.png", "2.png"]
    assert len(said) == 4
    with pytest.raises(DataError, match=r"2 images cannot be read, more than 1: .*1\.png"):
        list(plain_batches(data.test, 16, data.augment, 3, Unreadables(1, ignore)))
    assert (unreadable_limit(100), unreadable_limit(50_000)) == (10, 500)


def test_an_image_that_claims_too_many_pixels_is_unreadable(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "big.png").write_bytes(image)
    data = open_data(f"photos:{tmp_path}")
    found = Unreadables(5, ignore)
    assert not list(plain_batches(data.train, 8, "photo", 1, found))
    assert found.names == [str(tmp_path / "big.png")]


def test_views_have_the_size_asked_for() -> None:
    rng = np.random.default_rng(0)
    for extent in ((50, 20), (20, 50), (3, 200), (1, 1)):
        noise = rng.integers(0, 256, (extent[1], extent[0], 3), np.uint8)
        image = whole(Image.fromarray(noise))
        for augment in ("photo", "shift", "shift-flip"):
            for seed in range(5):
                view = training_view(image, 16, augment, np.random.default_rng(seed))
                again = training_view(image, 16, augment, np.random.default_rng(seed))
                assert view.size == (16, 16)
                assert view.tobytes() == again.tobytes()
            assert plain_view(image, 16, augment).size == (16, 16)


def test_photos_are_cropped_in_their_centre_and_others_are_not() -> None:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[:3] = 255
    image = whole(Image.fromarray(pixels))
    assert np.asarray(plain_view(image, 64, "shift"))[0].max() == 255
    assert np.asarray(plain_view(image, 64, "photo")).max() == 0


def test_only_clothes_are_mirrored() -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, 5:] = 255
    image = whole(Image.fromarray(pixels))

    def mirrored(augment: str) -> int:
        views = [
            np.asarray(training_view(image, 8, augment, np.random.default_rng(i)))  # type: ignore[arg-type]
            for i in range(50)
        ]
        return sum(bool(v[:, 0].any()) for v in views)

    assert mirrored("shift") == 0
    assert 10 < mirrored("shift-flip") < 40


def test_normalised_is_what_the_metadata_say() -> None:
    pixels = np.array([[[[0]], [[255]], [[51]]]], np.uint8)
    found = normalised(pixels, (0.5, 0.25, 0.0), (0.5, 0.25, 0.1))
    assert found.dtype == np.float32
    assert found.ravel().tolist() == pytest.approx([-1.0, 3.0, 2.0], rel=1e-6)


def test_data_need_no_torch() -> None:
    code = "import sys, spacedsl_runtime.data.sources as s, spacedsl_runtime.data.views;"
    code += "s.open_data('digits'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
