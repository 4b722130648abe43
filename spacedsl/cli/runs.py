"""What commands that use the runtime share: warnings and bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spacedsl.cli.progress import counting


def warned(message: str) -> None:
    """A warning on standard error."""
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def counting_bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What shows how many of `total` are done."""
    with counting(what, total, "done", quiet=quiet) as bar:
        bar(0)
        yield bar
