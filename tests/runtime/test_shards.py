"""Images in tar files: the same images as in folders, and a shard that is damaged is an error."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data
from spacedsl_runtime.errors import DataError
from tests.runtime.test_data import write_photo


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def image(tmp_path: Path, shade: int) -> bytes:
    path = tmp_path / "one.png"
    write_photo(path, (14, 11), shade)
    return path.read_bytes()


def sample(tmp_path: Path, number: int, label: int) -> dict[str, bytes]:
    key = f"x/{number:05}"
    return {f"{key}.png": image(tmp_path, number), f"{key}.cls": f"{label}\n".encode()}


def fill(tmp_path: Path, part: str, shards: int = 2, each: int = 4) -> None:
    for s in range(shards):
        members: dict[str, bytes] = {}
        for i in range(each):
            members |= sample(tmp_path, s * each + i, i % 2)
        shard(tmp_path / "shards" / f"{part}-{s:03}.tar", members)


def opened(where: Path | str) -> Data:
    return open_data(f"webdataset:{where}")


def test_shards_hold_the_images_that_were_put_in(tmp_path: Path) -> None:
    fill(tmp_path, "train")
    fill(tmp_path, "val", 1)
    (tmp_path / "shards" / "classes.txt").write_text("cat\ndog\n")
    data = opened(tmp_path / "shards")
    assert (data.channels, data.labels) == (3, ("cat", "dog"))
    assert data.train.labels.tolist() == [0, 1] * 4
    assert len(data.test.labels) == 4
    for i in range(8):
        rng = np.random.default_rng(i)
        wanted = rng.integers(0, 256, (11, 14, 3), np.uint8)
        assert np.array_equal(np.asarray(data.train.image(i)), wanted)
    few = data.train.some(np.array([5, 2]))
    assert few.labels.tolist() == [1, 0]
    assert np.array_equal(np.asarray(few.image(1)), np.asarray(data.train.image(2)))
    assert opened(tmp_path / "shards").hash == data.hash
    fill(tmp_path, "val", 1, each=6)
    assert opened(tmp_path / "shards").hash != data.hash


def test_a_pattern_of_shards_holds_out_a_tenth(tmp_path: Path) -> None:
    fill(tmp_path, "train", 3, 8)
    for pattern in ("train-{000..002}.tar", "train-*.tar"):
        data = opened(tmp_path / "shards" / pattern)
        assert data.labels == ("0", "1")
        assert (len(data.train.labels), len(data.test.labels)) == (22, 2)
    two = opened(tmp_path / "shards" / "train-{001..002}.tar")
    assert len(two.train.labels) == 14
    with pytest.raises(DataError, match=r"no shard .*train-003\.tar"):
        opened(tmp_path / "shards" / "train-{000..003}.tar")
    for wrong in ("{003..001}", "{0..99999999999}"):
        with pytest.raises(DataError, match="is no range of shards"):
            opened(tmp_path / "shards" / f"train-{wrong}.tar")


def test_shards_without_labels_are_photos(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", {"1.png": image(tmp_path, 1), "1.txt": b"a caption"})
    data = opened(tmp_path)
    assert data.classes == 0
    assert "1 .txt" in data.left_out
    assert len(data.train.labels) == len(data.test.labels) == 1


def test_damaged_shards(tmp_path: Path) -> None:
    one = sample(tmp_path, 1, 0) | sample(tmp_path, 2, 1)

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            opened(tmp_path / "a.tar")

    path = tmp_path / "a.tar"
    path.write_bytes(b"no tar file at all" * 100)
    refused("is no tar file that can be read")
    shard(path, one, "w:gz")
    refused("is no tar file that can be read")
    shard(path, one)
    whole = path.read_bytes()
    for length in (600, 1024 + 100, len(whole) - 10_240):
        path.write_bytes(whole[:length])
        refused("ends within|is no tar|has no label|has 1 image|no images")
    shard(path, {k: v for k, v in one.items() if k != "x/00002.cls"})
    refused("x/00002 has no label")
    shard(path, one | {"x/00001.cls": b"dog"})
    refused(r"00001\.cls holds b'dog', which is no number")
    shard(path, one | {"x/00001.cls": b"99999999999"})
    refused("which is no number of a class")
    shard(path, one | {"x/00001.jpg": one["x/00001.png"]})
    refused("two images of the name x/00001")
    shard(path, {"notes.txt": b"nothing"})
    refused("no images")
    with pytest.raises(DataError, match="there are no shards"):
        opened(tmp_path / "none-*.tar")


def test_a_class_that_tests_do_not_see_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "train")
    shard(tmp_path / "shards" / "val-000.tar", sample(tmp_path, 9, 0))
    with pytest.raises(DataError, match="classes without images for tests: 1"):
        opened(tmp_path / "shards")
    (tmp_path / "shards" / "val-000.tar").unlink()
    with pytest.raises(DataError, match=r"no shard in .* has one of val, "):
        opened(tmp_path / "shards")


def test_debris_in_a_shard_is_left_out(tmp_path: Path) -> None:
    members = sample(tmp_path, 1, 0) | sample(tmp_path, 2, 1) | sample(tmp_path, 3, 0)
    members |= sample(tmp_path, 4, 1) | {"x/._00001.png": b"\0"}
    shard(tmp_path / "a.tar", members)
    data = opened(tmp_path / "a.tar")
    assert len(data.train.labels) + len(data.test.labels) == 4
    assert "._*" in data.left_out
