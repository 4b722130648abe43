"""Shards: images in tar files, `KEY.jpg` beside `KEY.cls` (WebDataset's names).

A shard is read once for where its members lie, later any image by its offset, so that shards are
shuffled as folders are, and a million images are some hundred files. Nothing is unpacked."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.data.decode import Decoder, Source, decoder_of, open_source
from spacedsl_runtime.data.folders import SUFFIXES, LeftOut, is_debris, shown
from spacedsl_runtime.data.imagefolder import TEST, TRAIN, tenths
from spacedsl_runtime.data.source import IMAGENET, DataSource
from spacedsl_runtime.data.split import MAX_BYTES, Data, Indices, Labels
from spacedsl_runtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

LABEL = ".cls"
NAMES = "classes.txt"
"""In the shards' folder: names of the classes, one a line, in the order of their numbers."""

MAX_CLASSES = 1_000_000
MAX_RANGE = 1_000_000
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")

Places = NDArray[np.int64]
"""(N, 3): of every image its shard, where it begins there, and its bytes."""


@dataclass(frozen=True)
class Shards:
    """Images in tar files, decoded as RGB when asked for. `keys`: their names there."""

    shards: tuple[Path, ...]
    places: Places = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    labels: Labels = field(repr=False)
    decoder: Decoder

    def source(self, index: int) -> Source:
        """An RGB image, its orientation as stored. Raises `UnreadableError`."""
        shard, begin, size = (int(n) for n in self.places[index])
        path = self.shards[shard]

        def read() -> bytes:
            with path.open("rb") as file:
                file.seek(begin)
                return file.read(size)

        return open_source(shown(f"{path}/{self.keys[index]}"), read, self.decoder)

    def image(self, index: int) -> Image:
        """The same, decoded."""
        return self.source(index).decode(1)

    def some(self, indices: Indices) -> Shards:
        """The images at `indices`."""
        keys = tuple(self.keys[i] for i in indices.tolist())
        return replace(self, places=self.places[indices], keys=keys, labels=self.labels[indices])


def open_webdataset(spec: str, where: Path, decoder: Decoder) -> Data:
    """A folder of shards (`train-000.tar`, `val-000.tar`; also train/000.tar), or shards by a
    pattern of `*`, `?` and `{000..146}`, of which every tenth image is held out. Without labels
    the images for training and for tests are the same."""
    left = LeftOut()
    trained, tested = _shards(where, left)
    whole, classes = _indexed(trained, decoder, left)
    train, test = whole, whole
    if tested:
        test, more = _indexed(tested, decoder, left)
        if bool(classes) != bool(more):
            raise DataError(f"some shards at {shown(str(where))} have labels (KEY{LABEL})")
        classes = max(classes, more)
    labels = _names(where if where.is_dir() else where.parent, classes)
    if classes and not tested:
        train, test = map(whole.some, tenths(whole.labels, labels))
    for part, what in ((train, "training"), (test, "tests")):
        _need_all(part, labels, what)
    hash = _hash(train, test)
    return Data(spec, hash, 3, labels, train, test, "photo", decoder, left.line())


def _shards(where: Path, left: LeftOut) -> tuple[list[Path], list[Path]]:
    """For training and for tests."""
    name = shown(str(where))
    if not where.is_dir():
        found = list(_matching(str(where)))
        if not found:
            raise DataError(f"there are no shards (.tar) at {name}", "a folder or a pattern")
        return found, []
    found = sorted(p for p in where.rglob("*.tar") if not is_debris(p.name))
    train = [p for p in found if _is(p.relative_to(where), TRAIN)]
    tests = [p for p in found if _is(p.relative_to(where), TEST) and p not in train]
    rest = len(found) - len(train) - len(tests)
    if not found:
        raise DataError(f"there are no shards (.tar) in {name}")
    if bool(train) != bool(tests):
        lacking = ", ".join(TEST if train else TRAIN)
        message = f"no shard in {name} has one of {lacking} in its name"
        raise DataError(message, f"or name shards by a pattern: webdataset:{name}/x-{{00..99}}.tar")
    if train and rest:
        left.other(f"{rest:,} shards that are neither for training nor for tests")
    return train or found, tests


def _is(path: Path, words: tuple[str, ...]) -> bool:
    """Has a shard's path one of the words between its separators?"""
    return not set(re.split(r"[^a-z]+", str(path).casefold())).isdisjoint(words)


def _matching(pattern: str) -> Iterator[Path]:
    """The shards of a pattern, in its order. Raises `DataError` for one of a range that is not
    there."""
    found = RANGE.search(pattern)
    if not found:
        if glob.has_magic(pattern):
            yield from map(Path, sorted(glob.glob(pattern)))
        elif Path(pattern).is_file():
            yield Path(pattern)
        else:
            raise DataError(f"there is no shard {shown(pattern)}")
        return
    first, last = found.groups()
    if not 0 <= int(last) - int(first) < MAX_RANGE:
        raise DataError(f"{shown(pattern)}: {found[0]} is no range of shards")
    for number in range(int(first), int(last) + 1):
        text = f"{number:0{len(first)}}"
        yield from _matching(pattern[: found.start()] + text + pattern[found.end() :])


class _Member(NamedTuple):
    name: str
    begin: int
    size: int


def _indexed(shards: list[Path], decoder: Decoder, left: LeftOut) -> tuple[Shards, int]:
    """The images of shards, and one more than the greatest label, 0 without labels."""
    places: list[tuple[int, int, int]] = []
    keys: list[str] = []
    labels: list[int] = []
    for number, shard in enumerate(shards):
        images: dict[str, _Member] = {}
        found: dict[str, int] = {}
        for member in _members(shard, left):
            folder, name = os.path.split(member.name)
            stem, dot, suffix = name.partition(".")
            key = os.path.join(folder, stem)
            if (dot + suffix).lower() == LABEL:
                found[key] = _label(shard, member)
            elif not (dot + suffix).lower().endswith(SUFFIXES):
                left.type(name)
            elif key in images:
                raise DataError(f"{shown(str(shard))} has two images of the name {shown(key)}")
            else:
                images[key] = member
        if found and (lacking := sorted(images.keys() - found.keys())):
            message = f"{shown(str(shard))}: {shown(lacking[0])} has no label"
            raise DataError(message, f"put its class beside it, in {shown(lacking[0])}{LABEL}")
        places += [(number, m.begin, m.size) for m in images.values()]
        keys += [m.name for m in images.values()]
        labels += [found.get(key, -1) for key in images]
    if not keys:
        message = (
            f"{shown(str(shards[0]))}: no images ({', '.join(SUFFIXES)}) in {len(shards)} shards"
        )
        raise DataError(message, left.line() or None)
    numbers = np.array(labels, np.int64)
    if numbers.min() < 0 <= numbers.max():
        bare = shards[places[int(np.flatnonzero(numbers < 0)[0])][0]]
        raise DataError(f"{shown(str(bare))} has no labels, other shards have (KEY{LABEL})")
    classes = int(numbers.max()) + 1
    where = np.array(places, np.int64)
    return Shards(tuple(shards), where, tuple(keys), np.maximum(numbers, 0), decoder), classes


def _members(shard: Path, left: LeftOut) -> Iterator[_Member]:
    """The files in a shard. Raises `DataError` for one that is damaged or compressed."""
    name = shown(str(shard))
    try:
        length = shard.stat().st_size
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if is_debris(os.path.basename(member.name)):
                    left.system(os.path.basename(member.name))
                elif member.isreg() and not member.issparse():
                    if member.offset_data + member.size > length:
                        raise DataError(f"{name} ends within {shown(member.name)}: it is damaged")
                    if member.size > MAX_BYTES:
                        raise DataError(f"{name}: {shown(member.name)} is too large")
                    yield _Member(member.name, member.offset_data, member.size)
                elif not member.isdir():
                    left.other(f"{shown(member.name)} in {name}, which is no plain file")
    except tarfile.TarError as error:
        message = f"{name} is no tar file that can be read: {error}"
        raise DataError(message, "shards are tar files without compression") from None
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from None


def _label(shard: Path, member: _Member) -> int:
    with shard.open("rb") as file:
        file.seek(member.begin)
        text = file.read(min(member.size, 32)).strip()
    if not text.isdigit() or int(text) >= MAX_CLASSES:
        where = shown(f"{shard}/{member.name}")
        raise DataError(f"{where} holds {text!r}, which is no number of a class")
    return int(text)


def _names(folder: Path, classes: int) -> tuple[str, ...]:
    """Of the classes: from `classes.txt`, else their numbers."""
    path = folder / NAMES
    if not classes or not path.is_file():
        return tuple(map(str, range(classes)))
    names = tuple(path.read_bytes().decode("utf-8", "backslashreplace").splitlines())
    if len(names) < classes:
        message = f"{shown(str(path))} names {len(names)} classes, a label is {classes - 1}"
        raise DataError(message, "one name a line, the first is of label 0")
    return names


def _need_all(part: Shards, labels: tuple[str, ...], what: str) -> None:
    """Raises `DataError` where a class has no images."""
    lacking = np.flatnonzero(np.bincount(part.labels, minlength=len(labels)) == 0)
    if labels and len(lacking):
        listed = ", ".join(labels[i] for i in lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        raise DataError(f"classes without images for {what}: {listed}")


def _hash(*parts: Shards) -> str:
    """Over names, sizes and labels."""
    digest = hashlib.sha256()
    for part in parts:
        for key, place, label in zip(part.keys, part.places, part.labels, strict=True):
            digest.update(os.fsencode(key) + f"\0{place[2]}\0{label}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()


WEBDATASET = DataSource(
    name="webdataset",
    usage="webdataset:WHERE",
    open=lambda spec, where, decoder: open_webdataset(spec, Path(where), decoder_of(decoder)),
    defaults=IMAGENET,
)
