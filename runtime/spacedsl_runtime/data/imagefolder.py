"""Folders of images: `imagefolder:PATH` and `photos:DIR`.

What cannot be meant is refused: classes that are `train` and `val`, one class alone, a class that
tests do not see."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spacedsl_runtime.data.decode import Decoder, decoder_of
from spacedsl_runtime.data.folders import SUFFIXES, LeftOut, folders, identity, images_below, shown
from spacedsl_runtime.data.source import IMAGENET, DataSource
from spacedsl_runtime.data.split import Data, Files, Indices, Labels, hash_of_files
from spacedsl_runtime.errors import DataError

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "test", "testing")
"""Names of folders in any case; the first of `TEST` that is there is for tests."""

SHORT = (("tr", "trn"), ("te", "tst", "ts", "vl", "dev", "eval", "evaluation", "holdout"))
"""Other names of such folders. What they hold tells whether they are meant as such."""

NUMBERED = re.compile(
    r"(fold|split|part|set|batch|shard|chunk|subset|partition|cv|site|session)s?[\W_]*([0-9]+|[a-z])"
)
"""Names of one of several sets, in lower case."""

PARTS_ONLY = ("fold", "split", "batch", "shard", "chunk", "subset", "cv")
"""Those of these words that hardly ever name what is in a picture."""

NOTES = {
    *("labels", "annotations", "masks", "mask", "groundtruth", "ground_truth", "gt"),
    *("segmentationclass", "segmentationobject", "imagesets"),
    *("trash", "unlabeled", "unlabelled"),
}
"""Folders, in lower case, whose files describe other images or belong to no class."""

BESIDE = {"set", "data", "dataset", "images", "image", "imgs", "img", "photos", "split"}
"""Words that may stand beside those, as in `train_set` and `Test Images`."""

JOINED = re.compile(f"({'|'.join(TRAIN + TEST)})(?:{'|'.join(sorted(BESIDE))})")
"""A word of `TRAIN` or `TEST` that ends in one of `BESIDE`, as in `testdata`."""

HELD_OUT = 10
"""Of a folder without a test split every tenth image of a class is held out, of a class with fewer
images its last one."""

FEWEST = 2
"""Images of a class in such a folder."""

LAYOUT = "expected: PATH/train/CLASS/image and PATH/val/CLASS/image, or PATH/CLASS/image"


class Parts(NamedTuple):
    """The names of the folders for training and for tests."""

    train: str
    test: str


def open_imagefolder(spec: str, root: Path, decoder: Decoder) -> Data:
    """PATH/train/CLASS/image and PATH/val/CLASS/image, or PATH/CLASS/image."""
    _need_folder(root)
    left = LeftOut()
    names = folders(root, left)
    _need_different(root, names)
    if parts := _parts(root, names):
        for name in names:
            if name not in parts:
                left.other(f"the folder {shown(name)}, beside `{parts.train}` and `{parts.test}`")
        here, there = root / parts.train, root / parts.test
        classes, others = folders(here, left), folders(there, left)
        doubt = _need_classes(here, classes)
        _need_different(here, classes)
        _need_different(there, others)
        _same_classes(here, classes, there, others)
        train, test = (_labelled(f, classes, decoder, left) for f in (here, there))
    else:
        classes = names
        doubt = _need_classes(root, classes)
        found = _labelled(root, classes, decoder, left)
        train, test = map(found.some, tenths(found.labels, tuple(classes)))
    labels = tuple(map(shown, classes))
    hash = hash_of_files(train, test)
    return Data(spec, hash, 3, labels, train, test, "photo", decoder, left.line(), doubt)


def open_photos(spec: str, root: Path, decoder: Decoder) -> Data:
    """All images below a folder, without labels; the same for training and tests."""
    _need_folder(root)
    left = LeftOut()
    paths = tuple(images_below(root, "", left))
    if not paths:
        raise _no_images(root, left)
    split = Files(root, paths, np.zeros(len(paths), np.int64), decoder)
    hash = hash_of_files(split)
    return Data(spec, hash, 3, (), split, split, "photo", decoder, left.line())


def _need_folder(root: Path) -> None:
    if not os.path.isdir(root):
        raise DataError(f"there is no folder {shown(str(root))}")


def _parts(root: Path, names: list[str]) -> Parts | None:
    """None where the folders of `root` are no splits. Raises `DataError` for half of them, and for
    names that say more than which split they are."""
    train, test = _named(names, TRAIN), _named(names, TEST)
    if not train and not test:
        both = ((*mine, *more) for mine, more in zip((TRAIN, TEST), SHORT, strict=True))
        like = [[n for n in names if _words(n) & set(w) and _holds(root / n)] for w in both]
        if all(like):
            message = f"{shown(like[0][0])} and {shown(like[1][0])} in {shown(str(root))} "
            raise DataError(f"{message}are no classes: they hold folders", f"{RENAME}; {LAYOUT}")
        return None
    if len(train) > 1:
        raise DataError(f"{shown(str(root))} has {' and '.join(train)}", "keep one of them")
    if not train:
        message = f"{shown(str(root))} has `{test[0]}`, but no folder for training"
        raise DataError(message, f"call it one of {', '.join(TRAIN)}; {LAYOUT}")
    if not test and len(names) > 1 and not _holds(root / train[0]):
        return None  # the class of trains
    if not test:
        known = ", ".join(TEST)
        message = f"{shown(str(root))} has `{train[0]}`, but none of {known}"
        help = f"name {shown(train[0])} itself to hold every tenth image out for tests"
        if len(names) > 1:
            help = f"call the folder for tests {TEST[0]}, or {help}"
        raise DataError(message, help)
    return Parts(train[0], test[0])


RENAME = "where they are for training and for tests, call them train and val"


def _holds(folder: Path) -> bool:
    """Whether a folder holds folders."""
    return bool(folders(folder, LeftOut()))


def _named(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    """Those of `names` that are `wanted`, in its order; else those that are but for `BESIDE`."""
    if exact := _exactly(names, wanted):
        return exact
    alike = {name: _words(name) for name in names}
    return [n for word in wanted for n, words in alike.items() if words == {word}]


def _exactly(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    found = [name for name in names if name.casefold() in wanted]
    return sorted(found, key=lambda name: wanted.index(name.casefold()))


def _words(name: str) -> set[str]:
    """The words of a name in lower case, without numbers and what `BESIDE` names: `train` of
    `Train Images`, `traindata` and `train2017`."""
    apart = re.sub("(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall("[^\\W\\d_]+", apart.casefold())
    return {found[1] if (found := JOINED.fullmatch(w)) else w for w in words} - BESIDE


def _need_different(root: Path, names: list[str]) -> None:
    """Raises `DataError` where two folders are one, or have one name in all but its encoding."""
    seen: dict[object, str] = {}
    for name in names:
        for key in (identity(root / name), unicodedata.normalize("NFC", name)):
            other = seen.setdefault(key, name)
            if other != name:
                message = f"{shown(other)} and {shown(name)} in {shown(str(root))} are "
                what = "one folder" if isinstance(key, tuple) else "one name in two encodings"
                raise DataError(f"{message}{what}", "keep one of them")


def _need_classes(root: Path, classes: list[str]) -> str:
    """What makes it doubtful that the folders of a folder are classes, if anything. Raises
    `DataError` where they cannot be."""
    if not classes:
        raise DataError(f"{shown(str(root))} has no folders of classes", LAYOUT)
    within = [folders(root / name, LeftOut()) for name in classes]
    for name, inner in zip(classes, within, strict=True):
        if splits := _exactly(inner, TRAIN + TEST):
            message = f"{shown(name)} in {shown(str(root))} is no class: it holds `{splits[0]}`"
            raise DataError(message, f"name that folder: imagefolder:{shown(str(root / name))}")
        if len(classes) == 1:
            message = f"{shown(str(root))} has one class, {shown(name)}: there is nothing to learn"
            help = LAYOUT
            if inner:
                help = f"where the classes are in {shown(name)}, name that folder; {help}"
            raise DataError(message, help)
    return _sets(root, classes, within)


def _sets(root: Path, classes: list[str], within: list[list[str]]) -> str:
    """A doubt where all classes hold folders of the same names, or where their names are those of
    something else. Raises `DataError` where both are so of several sets."""
    first = within[0]
    if len(first) < 2 or any(names != first for names in within):
        return _odd_names(root, classes)
    shared = ", ".join(map(shown, first[:5])) + (", ..." if len(first) > 5 else "")
    if all(NUMBERED.fullmatch(name.casefold()) for name in classes):
        message = f"{shown(classes[0])} and {shown(classes[1])} in {shown(str(root))} "
        raise DataError(f"{message}are no classes: each holds {shared}", f"{JOIN}; {LAYOUT}")
    of = f"every class of {shown(str(root))} holds the folders {shared}"
    return f"{of}: where these are the classes, {JOIN}"


def _odd_names(root: Path, classes: list[str]) -> str:
    """A doubt where the names of the classes are those of sets, or of what is said of images."""
    found = [NUMBERED.fullmatch(name.casefold()) for name in classes]
    if all(match and match[1] in PARTS_ONLY for match in found):
        named = f"{shown(classes[0])} and {shown(classes[1])} in {shown(str(root))}"
        return f"{named} are the classes: where they are parts of one set, {JOIN}"
    said = [name for name in classes if name.casefold() in NOTES]
    return f"{shown(said[0])} in {shown(str(root))} is a class: else take it out" if said else ""


JOIN = "put the images of each class into one folder, for training and for tests"


def _same_classes(here: Path, mine: list[str], there: Path, others: list[str]) -> None:
    for this, found, that, rest in ((here, mine, there, others), (there, others, here, mine)):
        if alone := sorted(set(found) - set(rest)):
            names = ", ".join(map(shown, alone[:5])) + (", ..." if len(alone) > 5 else "")
            message = f"{shown(str(this))} has classes that {shown(str(that))} has not: {names}"
            raise DataError(message, "every class needs images for training and for tests")


def _labelled(folder: Path, classes: list[str], decoder: Decoder, left: LeftOut) -> Files:
    paths: list[str] = []
    numbers: list[int] = []
    which = [identity(folder / name) for name in classes]
    outside = {identity(above) for above in (folder, *folder.resolve().parents)}
    for number, name in enumerate(classes):
        here = LeftOut()
        others = frozenset(outside.union(which) - {which[number]})
        found = images_below(folder, name, here, others)
        if not found:
            raise _no_images(folder / name, here)
        left.add(here)
        paths += found
        numbers += [number] * len(found)
    return Files(folder, tuple(paths), np.array(numbers, np.int64), decoder)


def _no_images(folder: Path, left: LeftOut) -> DataError:
    message = f"{shown(str(folder))} has no images ({', '.join(SUFFIXES)})"
    return DataError(message, left.line() or "put images into it, or take it out")


def tenths(labels: Labels, classes: tuple[str, ...]) -> tuple[Indices, Indices]:
    """Indices for training and for tests. Raises `DataError` for a class with one image."""
    held = np.zeros(len(labels), bool)
    for number, name in enumerate(classes):
        places = np.flatnonzero(labels == number)
        if len(places) < FEWEST:
            message = f"class {shown(name)} has {len(places)} image, so none for tests"
            raise DataError(message, "give it more images, or take it out")
        held[places[HELD_OUT - 1 :: HELD_OUT] if len(places) >= HELD_OUT else places[-1:]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


IMAGEFOLDER = DataSource(
    name="imagefolder",
    usage="imagefolder:PATH",
    open=lambda spec, where, decoder: open_imagefolder(spec, Path(where), decoder_of(decoder)),
    defaults=IMAGENET,
)

PHOTOS = DataSource(
    name="photos",
    usage="photos:DIR",
    open=lambda spec, where, decoder: open_photos(spec, Path(where), decoder_of(decoder)),
)
