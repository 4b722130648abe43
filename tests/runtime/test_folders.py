"""Folders as people have them: what is left out is said, what cannot be meant is refused."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data, Files
from spacedsl_runtime.errors import DataError
from tests.runtime.test_data import write_photo


def fill(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    for label in classes:
        for i in range(count):
            write_photo(root / label / f"{i:02}.png", (12, 10), i)
    return root


def opened(root: Path) -> Data:
    return open_data(f"imagefolder:{root}")


def refused(root: Path, message: str, help: str = "") -> None:
    with pytest.raises(DataError, match=message) as caught:
        opened(root)
    assert help in str(caught.value.help)


DEBRIS = (
    "train/.ipynb_checkpoints/0-checkpoint.png",
    "train/__MACOSX/cat/._0.png",
    "train/cat/._00.png",
    "train/cat/.DS_Store",
    "train/cat/Thumbs.db",
    "val/@eaDir/00.png",
    ".git/config",
    "__MACOSX/train/cat/00.png",
)


def test_debris_is_no_class_and_no_image(tmp_path: Path) -> None:
    for part in ("train", "val"):
        fill(tmp_path / part)
    clean = opened(tmp_path)
    assert clean.left_out == ""
    for name in DEBRIS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    data = opened(tmp_path)
    assert data.labels == ("cat", "dog")
    assert data.hash == clean.hash
    assert data.left_out.startswith("left out: ")
    for name in (".ipynb_checkpoints", "2 __MACOSX", "._*", ".DS_Store", "Thumbs.db", "@eaDir"):
        assert name in data.left_out


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("Training", "Testing"), ("TRAIN", "Val"), ("train", "valid"), ("Train", "Validation")),
        *(("training_set", "test_set"), ("Train Images", "TestData"), ("train2017", "val2017")),
    ],
)
def test_splits_by_other_names_are_splits(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path / train, count=4)
    fill(tmp_path / test)
    data = opened(tmp_path)
    assert data.labels == ("cat", "dog")
    assert (len(data.train.labels), len(data.test.labels)) == (8, 6)


def test_of_several_test_splits_one_is_taken_and_the_others_are_said(tmp_path: Path) -> None:
    for part in ("train", "val", "test", "extra"):
        fill(tmp_path / part, count=4 if part == "val" else 3)
    data = opened(tmp_path)
    assert len(data.test.labels) == 8
    assert "the folder test, beside `train` and `val`" in data.left_out
    assert "the folder extra" in data.left_out


def test_half_of_a_split_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "Testing")
    refused(tmp_path, "has `Testing`, but no folder for training", "call it one of train")
    fill(tmp_path / "Training")
    fill(tmp_path / "train")
    refused(tmp_path, "has train and Training", "keep one of them")
    shutil.rmtree(tmp_path / "Testing")
    shutil.rmtree(tmp_path / "Training")
    refused(tmp_path, "has `train`, but none of val, ", "name train itself")
    fill(tmp_path / "dev")
    refused(tmp_path, "has `train`, but none of val, ", "call the folder for tests val, or name")


def test_splits_by_names_that_say_more_are_no_classes(tmp_path: Path) -> None:
    for part in ("seg_train", "seg_test"):
        fill(tmp_path / "seg" / part)
    refused(tmp_path / "seg", "seg_train and seg_test .* are no classes", "call them train and val")
    fill(tmp_path / "vehicles", ("bus", "train", "test_car"))
    assert opened(tmp_path / "vehicles").labels == ("bus", "test_car", "train")


def test_no_image_is_of_two_classes(tmp_path: Path) -> None:
    """A link to another class or to a folder above would give its images the wrong label."""
    data = fill(tmp_path / "data")
    (data / "cat" / "up").symlink_to("..")
    (data / "cat" / "far").symlink_to(tmp_path)
    (data / "cat" / "other").symlink_to("../dog")
    (data / "loop").symlink_to("loop")
    found = opened(data)
    assert (found.labels, len(found.train.labels)) == (("cat", "dog"), 4)
    for word in (
        "cat/up, a link",
        "cat/far, a link",
        "cat/other, a link",
        "loop, which is no file",
    ):
        assert word in found.left_out
    (data / "kitten").symlink_to("cat")
    refused(data, "cat and kitten in .* are one folder", "keep one")
    splits = fill(tmp_path / "splits" / "train").parent
    (splits / "val").symlink_to("train")
    refused(splits, "train and val in .* are one folder")
    twice = tmp_path / "twice"
    fill(twice / "train", ("cat", "dog"))
    fill(twice / "val", ("cat", "dog", "kitten"))
    (twice / "train" / "kitten").symlink_to("cat")
    refused(twice, "cat and kitten in .*train are one folder")
    fill(tmp_path / "accents", ("caf\u00e9", "cafe\u0301"))
    refused(tmp_path / "accents", "are one name in two encodings")


def test_a_class_of_an_odd_name_stays_on_its_line(tmp_path: Path) -> None:
    fill(tmp_path, ("a\nb", "c\x1b[31m"))
    assert opened(tmp_path).labels == ("a\\nb", "c\\x1b[31m")


def test_a_folder_too_high_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "archive"
    fill(home / "train")
    fill(home / "val")
    refused(tmp_path, "archive in .* is no class: it holds `train`", f"imagefolder:{home}")
    shutil.rmtree(home)
    fill(home, count=12)
    refused(tmp_path, "one class, archive: there is nothing to learn", "name that folder")
    assert opened(home).labels == ("cat", "dog")


def test_a_class_alone_is_refused(tmp_path: Path) -> None:
    for part in ("train", "val"):
        fill(tmp_path / part, ("cat",))
    refused(tmp_path, "train has one class, cat: there is nothing to learn")


def test_what_is_not_read_is_said_by_type(tmp_path: Path) -> None:
    fill(tmp_path, count=12)
    for name in ("cat/a.gif", "cat/b.TIF", "dog/c.tif", "dog/notes", "readme.md"):
        (tmp_path / name).write_bytes(b"GIF89a")
    data = opened(tmp_path)
    assert len(data.train.labels) + len(data.test.labels) == 24
    for words in ("2 .tif", "1 .gif", "1 .md", "1 no suffix", "only .jpg, .jpeg, .png"):
        assert words in data.left_out
    for path in (tmp_path / "dog").glob("*.png"):
        path.rename(path.with_suffix(".tiff"))
    refused(tmp_path, "dog has no images", "12 .tiff")


def test_every_class_has_images_for_tests(tmp_path: Path) -> None:
    fill(tmp_path, ("cat",), 21)
    fill(tmp_path, ("dog",), 4)
    data = opened(tmp_path)
    assert isinstance(data.test, Files)
    assert data.test.paths == ("cat/09.png", "cat/19.png", "dog/03.png")
    fill(tmp_path, ("emu",), 1)
    refused(tmp_path, "class emu has 1 image, so none for tests")
    root = fill(tmp_path / "both" / "train").parent
    fill(root / "val")
    for path in (root / "val" / "dog").iterdir():
        path.unlink()
    refused(root, "val/dog has no images")
    (root / "val" / "dog").rmdir()
    refused(root, "train has classes that .*val has not: dog", "images for training and for tests")


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    fill(tmp_path, (odd, "dog"), 3)
    write_photo(tmp_path / "dog" / os.fsdecode(b"\xff.png"), (9, 9))
    (tmp_path / "dog" / os.fsdecode(b"\xfe.g\xe9f")).write_bytes(b"")
    (tmp_path / odd / "00.png").write_bytes(b"no image")
    data = opened(tmp_path)
    assert data.labels == ("caf\\xe9", "dog")
    assert "1 .g\\xe9f" in data.left_out
    assert data.hash == opened(tmp_path).hash
    for split in (data.train, data.test):
        for i in range(len(split.labels)):
            try:
                assert split.image(i).mode == "RGB"
            except Exception as error:
                assert "caf\\\\xe9/00.png" in repr(error)  # noqa: PT017


def test_odd_files_and_links(tmp_path: Path) -> None:
    """A pipe that nobody writes would be waited for; a link to a folder above itself never ends."""
    fill(tmp_path / "data", count=3)
    os.mkfifo(tmp_path / "data" / "cat" / "pipe.png")
    (tmp_path / "data" / "cat" / "broken.png").symlink_to("nothing.png")
    (tmp_path / "data" / "cat" / "again").symlink_to(tmp_path / "data" / "cat")
    write_photo(tmp_path / "elsewhere" / "far.png", (9, 9))
    (tmp_path / "data" / "dog" / "linked").symlink_to(tmp_path / "elsewhere")
    data = opened(tmp_path / "data")
    assert len(data.train.labels) + len(data.test.labels) == 7
    assert "cat/pipe.png, which is no file" in data.left_out
    assert "cat/broken.png, which is no file" in data.left_out


@pytest.fixture
def not_root() -> Iterator[Path]:
    """A folder, for a user who may not read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield fill(Path(folder) / "data", count=3)
        if os.getuid() == 0:
            os.seteuid(0)


@pytest.mark.parametrize("rights", [0o000, 0o644, 0o311])
@pytest.mark.parametrize("name", ["dog", "."])
def test_a_folder_without_a_right_is_an_error_that_says_so(
    rights: int, name: str, not_root: Path
) -> None:
    """To read it, to enter it, or either."""
    (not_root / name).chmod(rights)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        refused(not_root, "cannot read .*: Permission denied", "allowed to read it and to enter")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (not_root / name).chmod(0o755)


def test_sets_that_are_no_classes(tmp_path: Path) -> None:
    """By their names, where they hold folders; else it is said what else they may be."""
    for one, two in (("tr", "te"), ("Trn", "Tst"), ("train_x", "dev")):
        for part in (one, two):
            fill(tmp_path / one / part)
        refused(
            tmp_path / one, f"({one} and {two}|{two} and {one}) .* are no classes", "train and val"
        )
    for first, second in (("fold0", "fold1"), ("Split_1", "Split_2"), ("set-a", "set-b")):
        for part in (first, second):
            fill(tmp_path / first / part)
            fill(tmp_path / "whole" / first / "train" / part)
            fill(tmp_path / "whole" / first / "val" / part)
        for root in (tmp_path / first, tmp_path / "whole" / first):
            refused(
                root, f"{first} and {second} .* are no classes: each holds cat, dog", "one folder"
            )
    fill(tmp_path / "letters", ("te", "tr"))
    assert opened(tmp_path / "letters").labels == ("te", "tr")
    fill(tmp_path / "parts", ("part1", "part2"))
    assert opened(tmp_path / "parts").doubt == ""
    for name in ("cat", "dog"):
        fill(tmp_path / "light" / name, ("day", "night"))
    data = opened(tmp_path / "light")
    assert data.labels == ("cat", "dog")
    assert data.doubt.startswith(f"every class of {tmp_path}/light holds the folders day, night: ")


def test_photos_leave_debris_out(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", (9, 9))
    (tmp_path / "._a.png").write_bytes(b"\0")
    (tmp_path / "b.gif").write_bytes(b"GIF89a")
    data = open_data(f"photos:{tmp_path}")
    assert len(data.train.labels) == 1
    assert "1 .gif" in data.left_out


@pytest.mark.parametrize(
    ("names", "doubt"),
    [
        (("fold_1", "fold_2"), "fold_1 and fold_2 in {} are the classes"),
        (("images", "masks"), "masks in {} is a class"),
        (("cat", "dog", "Unlabeled"), "Unlabeled in {} is a class"),
        (("set", "cat"), ""),
    ],
)
def test_names_of_sets_and_notes_are_doubted(
    names: tuple[str, ...], doubt: str, tmp_path: Path
) -> None:
    fill(tmp_path, names)
    assert opened(tmp_path).doubt.startswith(doubt.format(tmp_path))
    assert bool(opened(tmp_path).doubt) == bool(doubt)
