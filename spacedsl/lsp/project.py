"""The pages that an editor has open, over those on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spacedsl.diagnostics import SpaceError
from spacedsl.lang.library import SUFFIX, library
from spacedsl.lang.memo import Memo
from spacedsl.lang.page import Loader, Page
from spacedsl.text import Source

LIBRARY = "<library>/"
MAX_FILES = 2_000
"""Of a folder, when every page that may use a name is looked for."""


@dataclass
class Project:
    """Open texts by resolved path. What was read before is kept as long as no text changes."""

    texts: dict[Path, str] = field(default_factory=dict)
    roots: tuple[Path, ...] = ()
    _memo: Memo = field(default_factory=Memo)
    _pages: dict[Path, Page] = field(default_factory=dict)

    def put(self, path: Path, text: str) -> None:
        """A text is open, or is another now."""
        self.texts[path] = text
        self.forget()

    def close(self, path: Path) -> None:
        """The disk's text counts again."""
        self.texts.pop(path, None)
        self.forget()

    def forget(self) -> None:
        """Something has changed, here or on the disk."""
        self._pages.clear()

    def page(self, path: Path) -> Page:
        """The page at a path, as it is in the editor. Raises `SpaceError` where it is on the disk
        only and cannot be read."""
        if path not in self._pages:
            loader = Loader(self.texts, self._memo)
            if path in self.texts:
                source = Source(str(path), self.texts[path])
                self._pages[path] = loader.open_source(source, path.parent, path)
            else:
                self._pages[path] = loader.open(path, str(path))
        return self._pages[path]

    def pages(self) -> Iterator[Page]:
        """Every page that is open or lies in the folders that the editor works in."""
        found = dict.fromkeys((*self.texts, *self._files()))
        for path in found:
            try:
                yield self.page(path)
            except SpaceError:
                continue

    def _files(self) -> Iterator[Path]:
        count = 0
        for root in self.roots:
            for folder, folders, files in os.walk(root):
                folders[:] = sorted(f for f in folders if not f.startswith((".", "node_modules")))
                for name in sorted(files):
                    count += 1
                    if count > MAX_FILES:
                        return
                    if name.endswith(SUFFIX):
                        yield (Path(folder) / name).resolve()


def path_of(page: Page) -> Path:
    """Where a page is."""
    return shown_path(page.source.name)


def shown_path(name: str) -> Path:
    """Where the page is that is shown as `name`."""
    path = library() / name[len(LIBRARY) :] if name.startswith(LIBRARY) else Path(name)
    return path.resolve()


def is_library(path: Path) -> bool:
    """Whether a page came with spacedsl, so that an editor must not change it."""
    return path.is_relative_to(library().resolve())
