"""Pages as commands and the parts below them use them: load, check, write, sample."""

from __future__ import annotations

import random
from pathlib import Path

from spacedsl.diagnostics import Diagnostic, SpaceError, fault
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.check import check_page
from spacedsl.lang.load import (
    load,
    load_one,
    load_space,
    load_target,
    locate,
    open_page,
    split_item,
)
from spacedsl.lang.page import Loader, Page
from spacedsl.lang.write import write

__all__ = [
    "check",
    "examine",
    "load",
    "load_one",
    "load_space",
    "load_target",
    "open_page",
    "page_errors",
    "page_warnings",
    "sample",
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
    """Every error of a page: what the language says of it, and what targets say of its targets;
    where there is none, those of its tables."""
    from spacedsl.targets.said import said_errors, unreadable

    return check_page(page) + said_errors(page) or tuple(unreadable(page))


def page_warnings(page: Page) -> tuple[Diagnostic, ...]:
    """What a page without errors says that is easily not what was meant."""
    from spacedsl.lang.doubts import input_warnings, value_warnings
    from spacedsl.lang.limits import limit_warnings
    from spacedsl.lang.odd_layers import layer_warnings
    from spacedsl.lang.taps import head_warnings
    from spacedsl.targets.said import said_warnings

    found: list[Diagnostic] = []
    for name in page.names:
        item, node = page.get(name), page.items[name]
        if isinstance(item, Space):
            for warnings in (input_warnings, value_warnings, limit_warnings, layer_warnings):
                found += warnings(item, node, page.source)
        if isinstance(item, (Space, Subnet)):
            found += head_warnings(item, node, page.source)
    return (*found, *said_warnings(page))


MOST_DRAWN = 1_000
"""Networks over the limit in a row after which none within it is looked for."""


def sample(space: Space, count: int = 1, seed: int = 0) -> list[Subnet]:
    """`count` random members within the space's limit, named after the space; the same for the same
    seed. Raises `SpaceError` where no random member keeps the limit."""
    rng = random.Random(seed)  # noqa: S311  not for secrets
    return [_within(space, rng, f"{space.name}-s{seed}-{i}") for i in range(count)]


def _within(space: Space, rng: random.Random, name: str) -> Subnet:
    from spacedsl.lang.limits import keeps_limit

    for _ in range(MOST_DRAWN):
        found = random_subnet(space, rng, name)
        if space.kind == "space" or keeps_limit(found, space.limit):
            return found
    message = f"none of {MOST_DRAWN:,} random networks of `{space.name}` keeps its limit"
    raise fault("over-limit", message, "raise the limit, or let the space have smaller networks")
