"""What a folder of images holds, and what of it is left out and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from spacedsl_runtime.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")

SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin"),
    *("system volume information", "lost+found", "__pycache__"),
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
    """A file's name as text that can be printed and stored, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_debris(name: str) -> bool:
    """Was a name left behind by a system or a tool?"""
    return name.startswith(".") or name.casefold() in SYSTEM


def folders(root: Path, left: LeftOut) -> list[str]:
    """The names of the folders in a folder, sorted; files beside them are left out."""
    found: list[str] = []
    for entry in _entries(root):
        if is_debris(entry.name):
            left.system(entry.name)
        elif entry.is_dir():
            found.append(entry.name)
        elif entry.is_file():
            left.type(entry.name)
    return sorted(found)


def images_below(root: Path, below: str, left: LeftOut) -> list[str]:
    """Paths of images relative to `root`, in an order that no file system decides. Links are
    followed, each folder is read once."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    todo = [below]
    while todo:
        here = todo.pop()
        about = (root / here).stat()
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for entry in _entries(root / here):
            path = os.path.join(here, entry.name)
            if is_debris(entry.name):
                left.system(entry.name)
            elif entry.is_dir():
                todo.append(path)
            elif not entry.is_file():
                left.other(f"{shown(path)}, which is no file")
            elif entry.name.lower().endswith(SUFFIXES):
                found.append(path)
            else:
                left.type(entry.name)
    return sorted(found)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot read {shown(str(folder))}: {error.strerror}") from None
