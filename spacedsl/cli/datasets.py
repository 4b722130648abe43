"""What data hold, said before anything is done with them: classes, counts, what is left out."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from spacedsl.cli.progress import first_process
from spacedsl.cli.words import wrapped
from spacedsl.figures import counted
from spacedsl_runtime.data.sources import usages

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data, Labels

LISTED = 20
"""Classes are listed one by one up to so many, else the fewest and the most images are said."""


class Decoding(StrEnum):
    """What decodes JPEG files."""

    simplejpeg = "simplejpeg"
    pillow = "pillow"


DATA = typer.Option(..., "--data", help=f"{usages(labelled=True)}.")

DECODER = typer.Option(
    None, "--decoder", help="What reads JPEG files; else simplejpeg if installed."
)


def tell(data: Data, *, quiet: bool, holdout: int = 0) -> None:
    """Say on standard error what data hold, of several processes the first one only. `holdout`:
    how many images are not trained on; `quiet`: only what is left out or in
    doubt."""
    if not first_process():
        return
    said = [] if quiet else description(data, holdout)
    for line in filter(None, (*said, data.left_out, data.doubt and f"warning: {data.doubt}")):
        print(wrapped(line, "  ", sys.stderr), file=sys.stderr)


def description(data: Data, holdout: int = 0) -> list[str]:
    """Classes and counts in one or two lines."""
    trained, tested = len(data.train.labels), len(data.test.labels)
    if not data.classes:
        return [f"{data.spec}: {counted(trained, 'image')} without labels"]
    kept = f" ({holdout:,} of them held out)" if holdout else ""
    first = (
        f"{data.spec}: {data.classes:,} classes, {counted(trained, 'image')} for training{kept}, "
        f"{tested:,} for tests"
    )
    train, test = (_counts(data, split.labels) for split in (data.train, data.test))
    if data.classes <= LISTED:
        each = (f"{n} {train[i]:,}+{test[i]:,}" for i, n in enumerate(data.labels))
        return [first, f"  {', '.join(each)}"]
    return [first, f"  {_range(data, train)} for training, {_range(data, test)} for tests"]


def _counts(data: Data, labels: Labels) -> list[int]:
    found = Counter(labels.tolist())
    return [found[i] for i in range(data.classes)]


def _range(data: Data, counts: list[int]) -> str:
    fewest, most = min(counts), max(counts)
    if fewest == most:
        return f"{counted(most, 'image')} of each class"
    few, many = data.labels[counts.index(fewest)], data.labels[counts.index(most)]
    return f"{fewest:,} ({few}) to {most:,} ({many}) images of a class"
