"""Run directories of flows that train."""

from __future__ import annotations

from pathlib import Path

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.figures import listed
from spacedsl.ir.diff import diff_spaces
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.lang.changes import change_words


def check_same_space(folder: Path, space: Space) -> None:
    """Raises `SpaceError` where a folder's run is of another space, saying what changed."""
    page = folder / "resolved.space"
    if not page.is_file():
        return
    before = api.load_space(page)
    if space_identity(before) == space_identity(space):
        return
    changes = listed([change_words(c) for c in diff_spaces(before, space)])
    message = f"{folder} holds a run of another space than {space.name} now is: {changes}"
    raise fault("bad-run", message, "name the page of that run, or choose another folder")
