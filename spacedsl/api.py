"""The Python API that the commands use: load, check, write, sample, score."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl.diagnostics import Diagnostic, SpaceError, fault, suggest
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.check import check_page
from spacedsl.lang.page import SUFFIX, Item, Loader, Page, library, main_item
from spacedsl.lang.write import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacedsl.search.score import Definition, QTScore

__all__ = ["check", "load", "load_space", "load_target", "open_page", "sample", "score", "write"]


def open_page(spec: str | Path) -> tuple[Page, str | None]:
    """The page that `spec` means, and the item it names: a path, a name of the library (`vnni`),
    either followed by `#ITEM`. Raises `SpaceError`."""
    path, shown, item = _locate(str(spec))
    page = Loader().load(path, shown)
    if item and item not in page.items:
        known_names = ", ".join(page.names) or "nothing"
        raise fault("no-item", f"{shown} has no `{item}`", help=f"it has: {known_names}")
    return page, item or None


def _locate(spec: str) -> tuple[Path, str, str]:
    """Path, how to show it, and the item asked for ("" for none)."""
    where, item = split_item(spec)
    path = Path(where)
    if path.is_file() or path.name != where or path.suffix == SUFFIX:
        return path, where, item
    for folder in ("", "models", "baselines", "benchmarks", "targets"):
        known = library() / folder / f"{where}{SUFFIX}"
        if known.is_file():
            return known, f"<library>/{known.name}", item
    message = f"there is neither a file nor a page of the library called {where}"
    close = suggest(where, [p.stem for p in library().rglob(f"*{SUFFIX}")])
    help = f"did you mean `{close}`?" if close else "see the library's pages in spaces/"
    raise fault("cannot-read", message, help=help)


def split_item(spec: str) -> tuple[str, str]:
    """`PATH#ITEM` in two, "" for no item; a path may have `#` too."""
    where, sign, item = spec.rpartition("#")
    if not sign or Path(spec).is_file() or "/" in item:
        return spec, ""
    return where, item


def load(spec: str | Path) -> Item:
    """The hyperspace, space, model or target of a page (its only one, or `PATH#NAME`). Raises
    `SpaceError`."""
    page, item = open_page(spec)
    return page.get(item or main_item(page))


def load_space(spec: str | Path) -> Space:
    """As `load`, for a hyperspace or a space. Raises `SpaceError` for anything else."""
    page, item = open_page(spec)
    found = page.get(item or main_item(page, ("hyperspace", "space")))
    if not isinstance(found, Space):
        raise fault("wrong-kind", f"{spec} is not a hyperspace or a space")
    return found


def load_target(spec: str | Path) -> Target:
    """A target by name (a page in the library's `targets/`) or by path. Raises `SpaceError`."""
    folder, spec = library() / "targets", str(spec)
    path = Path(spec) if spec.endswith(SUFFIX) else folder / f"{spec}{SUFFIX}"
    if not path.is_file() and not spec.endswith(SUFFIX):
        known = ", ".join(sorted(p.stem for p in folder.glob(f"*{SUFFIX}")))
        raise fault("unknown-target", f"unknown target `{spec}`", help=f"known: {known}")
    page = Loader().load(path, spec)
    found = page.get(main_item(page, ("target",)))
    if not isinstance(found, Target):
        raise fault("wrong-kind", f"{spec} is not a target")
    beside = path.parent / found.latency
    if found.latency.endswith(CARRIED) and beside.is_file():
        return found.model_copy(update={"latency": str(beside)})
    return found


CARRIED = ".npz"
"""A profile that was exported lies beside its page."""


def check(spec: str | Path) -> tuple[Diagnostic, ...]:
    """Every error of a page and of what it refers to; empty where there is none."""
    return examine(spec)[1]


def examine(spec: str | Path) -> tuple[Page | None, tuple[Diagnostic, ...]]:
    """A page, None where it cannot be read, and its errors."""
    try:
        path, shown, _ = _locate(str(spec))
        page = Loader().open(path, shown)
    except SpaceError as error:
        return None, error.diagnostics
    return page, page_errors(page)


def page_errors(page: Page) -> tuple[Diagnostic, ...]:
    """Every error of a page: what the language says of it, and what targets say of its targets."""
    from spacedsl.targets.said import said_errors

    return check_page(page) + said_errors(page)


def page_warnings(page: Page) -> tuple[Diagnostic, ...]:
    """What a page without errors says that is easily not what was meant."""
    from spacedsl.lang.limits import limit_warnings
    from spacedsl.targets.said import said_warnings

    found: list[Diagnostic] = []
    for name in page.names:
        item = page.get(name)
        if isinstance(item, Space):
            found += limit_warnings(item, page.items[name], page.source)
    return (*found, *said_warnings(page))


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
