"""Progress of what takes long, on standard error: a bar on a terminal, elsewhere a line now and
then, so that a log or a pipe says what goes on too."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_S = 15.0
"""Seconds between two lines."""

Show = Callable[[float, str], None]
"""Takes the share that is done and a note on it."""


@contextmanager
def progress(what: str, note: str) -> Iterator[Show]:
    """Says that `what` begins, then how far it is."""
    if sys.stderr.isatty():
        with _bar(what, note) as show:
            yield show
        return
    _line(f"{what}: {note}")
    last = time.monotonic()

    def said(share: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_S:
            last = time.monotonic()
            _line(f"{what}: {share:.0%}, {note}")

    yield said


@contextmanager
def _bar(what: str, note: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=1.0, note=note)
        yield lambda share, note: bar.update(task, completed=min(share, 1.0), note=note)


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
