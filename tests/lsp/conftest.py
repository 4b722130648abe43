"""One server for all tests of a file; a server with an error in its log fails them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lsp.editor import Editor


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    found = Editor(tmp_path_factory.mktemp("pages").resolve())
    yield found
    assert found.errors == []
    assert found.close() == 0


@pytest.fixture
def folder(editor: Editor) -> Path:
    return editor.folder
