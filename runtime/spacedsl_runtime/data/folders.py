"""What a folder of images holds, and what of it is left out and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from spacedsl_runtime.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")

SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin"),
    *("system volume information", "lost+found", "__pycache__", "icon\r", "#recycle"),
    *("network trash folder", "temporary items", "node_modules"),
}
"""Names, in lower case, that systems and tools leave behind. So are those that begin with a dot."""


MOST = 8
"""Kinds of things that are named."""


class LeftOut:
    """What is not read, counted by its kind."""

    def __init__(self) -> None:
        self._types: Counter[str] = Counter()
        self._system: Counter[str] = Counter()
        self._others: list[str] = []

    def type(self, name: str) -> None:
        """A file of a type that is not read."""
        self._types[shown(os.path.splitext(name)[1].lower() or "no suffix")] += 1

    def system(self, name: str) -> None:
        """A hidden file or folder, or one of a system."""
        self._system[shown(name) if not name.startswith("._") else "._*"] += 1

    def other(self, words: str) -> None:
        """Something else."""
        self._others.append(words)

    def add(self, more: LeftOut) -> None:
        """All that another one has."""
        self._types += more._types
        self._system += more._system
        self._others += more._others

    def line(self) -> str:
        """All of it on one line, empty where nothing is left out."""
        parts: list[str] = []
        if self._types:
            read = ", ".join(SUFFIXES)
            parts.append(f"{_counted(self._types)} (only {read} are read)")
        if self._system:
            parts.append(f"{_counted(self._system)} (hidden, or of a system)")
        parts += self._others[:MOST]
        if len(self._others) > MOST:
            parts.append(f"{len(self._others) - MOST:,} others")
        return f"left out: {'; '.join(parts)}" if parts else ""


def _counted(found: Counter[str]) -> str:
    words = [f"{count:,} {name}" for name, count in found.most_common(MOST)]
    rest = sum(count for _, count in found.most_common()[MOST:])
    return ", ".join([*words, f"{rest:,} others"] if rest else words)


def shown(name: str) -> str:
    """A file's name as text that can be printed and stored on one line, whatever its bytes are."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def is_debris(name: str) -> bool:
    """Was a name left behind by a system or a tool?"""
    return name.startswith(".") or name.casefold() in SYSTEM


def folders(root: Path, left: LeftOut) -> list[str]:
    """The names of the folders in a folder, sorted; files beside them are left out."""
    found: list[str] = []
    for entry in _entries(root):
        if is_debris(entry.name):
            left.system(entry.name)
            continue
        kind = _kind(entry)
        if kind == "folder":
            found.append(entry.name)
        elif kind == "file":
            left.type(entry.name)
        else:
            left.other(f"{shown(entry.name)}, which is no file")
    return sorted(found)


ALLOW = "whoever runs this must be allowed to read it and to enter the folders above it"


def cannot_read(path: Path | str, error: OSError) -> DataError:
    """The error of a file or folder that cannot be looked at."""
    denied = isinstance(error, PermissionError)
    help = ALLOW if denied else None
    return DataError(f"cannot read {shown(str(path))}: {error.strerror}", help)


Identity = tuple[int, int]
"""Of a folder, by whatever name and link it is reached."""


def identity(folder: Path) -> Identity:
    """What two names of one folder share. Raises `DataError` where it cannot be looked at."""
    try:
        about = folder.stat()
    except OSError as error:
        raise cannot_read(folder, error) from None
    return about.st_dev, about.st_ino


def images_below(
    root: Path, below: str, left: LeftOut, others: frozenset[Identity] = frozenset()
) -> list[str]:
    """Paths of images relative to `root`, in an order that no file system decides. Links are
    followed, each folder is read once, and none of `others`: they are not what is below."""
    found: list[str] = []
    seen: set[Identity] = set()
    todo = [below]
    while todo:
        here = todo.pop()
        which = identity(root / here)
        if which in others:
            left.other(f"{shown(here)}, a link to a folder of other images")
        if which in seen or which in others:
            continue
        seen.add(which)
        for entry in _entries(root / here):
            path = os.path.join(here, entry.name)
            if is_debris(entry.name):
                left.system(entry.name)
            elif (kind := _kind(entry)) == "folder":
                todo.append(path)
            elif kind == "other":
                left.other(f"{shown(path)}, which is no file")
            elif entry.name.lower().endswith(SUFFIXES):
                found.append(path)
            else:
                left.type(entry.name)
    return sorted(found)


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "file", "other"]:
    """What stands behind a name: of a link that leads nowhere or to itself `other`."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except PermissionError as error:
        raise cannot_read(entry.path, error) from None
    except OSError:
        return "other"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise cannot_read(folder, error) from None
