"""What commands that use the runtime share: its errors as diagnostics, its needs, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl.cli.progress import counting
from spacedsl.cli.words import listed
from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space

if TYPE_CHECKING:
    from spacedsl_runtime.train.loop import Reached


def warned(message: str) -> None:
    """A warning on standard error."""
    print(f"warning: {message}", file=sys.stderr)


def check_same_space(folder: Path, space: Space) -> None:
    """Raises `SpaceError` where a folder's run is of another space, saying what changed."""
    from spacedsl import api
    from spacedsl.cli.diff import change_words
    from spacedsl.ir.diff import diff_spaces

    page = folder / "resolved.space"
    if not page.is_file():
        return
    before = api.load_space(page)
    if space_identity(before) == space_identity(space):
        return
    changes = listed([change_words(c) for c in diff_spaces(before, space)])
    message = f"{folder} holds a run of another space than {space.name} now is: {changes}"
    raise fault("bad-run", message, "name the page of that run, or choose another folder")


@contextmanager
def training_bar(
    steps: int, *, quiet: bool
) -> Iterator[tuple[Callable[[Reached], None], Callable[[str], None]]]:
    """What shows how far a training is, and what prints a warning."""
    with counting("training", steps, "steps", quiet=quiet) as bar:

        def show(reached: Reached) -> None:
            scores = (f"{s.name} {s.top1:.1%}" for s in reached.scores[:2])
            speed = f"{reached.images_per_second:,.0f} images/s"
            bar(reached.step, f"loss {reached.loss:.3f}", *scores, speed)

        yield show, warned


@contextmanager
def counting_bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What shows how many of `total` are done."""
    with counting(what, total, "done", quiet=quiet) as bar:
        bar(0)
        yield bar
