"""The Python API that the commands use: load, check, write, sample, score."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl.diagnostics import Diagnostic, SpaceError
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.check import check_page
from spacedsl.lang.load import load, load_space, load_target, locate, open_page, split_item
from spacedsl.lang.page import Loader, Page
from spacedsl.lang.write import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacedsl.search.score import Definition, QTScore

__all__ = [
    "check",
    "examine",
    "load",
    "load_space",
    "load_target",
    "open_page",
    "page_errors",
    "page_warnings",
    "sample",
    "score",
    "split_item",
    "write",
]


def check(spec: str | Path) -> tuple[Diagnostic, ...]:
    """Every error of a page and of what it refers to; empty where there is none."""
    return examine(spec)[1]


def examine(spec: str | Path) -> tuple[Page | None, tuple[Diagnostic, ...]]:
    """A page, None where it cannot be read, and its errors."""
    try:
        path, shown, _ = locate(str(spec))
        page = Loader().open(path, shown)
    except SpaceError as error:
        return None, error.diagnostics
    return page, page_errors(page)


def page_errors(page: Page) -> tuple[Diagnostic, ...]:
    """Every error of a page: what the language says of it, and what targets say of its targets."""
    from spacedsl.targets.said import said_errors

    return check_page(page) + said_errors(page)


def page_warnings(page: Page) -> tuple[str, ...]:
    """What a page without errors says that is easily not what was meant."""
    from spacedsl.lang.limits import limit_warnings
    from spacedsl.targets.said import elsewhere

    found: list[str] = []
    for item in map(page.get, page.names):
        if isinstance(item, Space):
            found += limit_warnings(item)
        elif isinstance(item, Target):
            found += elsewhere(item)
    return tuple(found)


def sample(space: Space, count: int = 1, seed: int = 0) -> list[Subnet]:
    """`count` random members, named after the space; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311  not for secrets
    return [random_subnet(space, rng, f"{space.name}-s{seed}-{i}") for i in range(count)]


def score(
    space: Space,
    target: str | Path | Target,
    limits_ms: Sequence[float] | None = None,
    quality: str | None = None,
    seed: int = 0,
    definition: Definition = "best",
) -> QTScore:
    """The score of a space on a target: by its best networks (a `BestScore`), or by another
    definition, `qt` being the paper's Q-T score (Sec. 4.1). Raises `SpaceError`."""
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.targets.scorers import Request, open_scorer

    found = target if isinstance(target, Target) else load_target(target)
    limits = tuple(limits_ms or ())
    request = Request(limits_ms=limits, quality=quality, seed=seed, definition=definition)
    tables = open_scorer(space, found, request)
    return BestScorer(tables).score(space) if definition == "best" else tables.score(space)
