"""Finds a page by its path or its name in the library, and loads the item that is asked for."""

from __future__ import annotations

from pathlib import Path

from spacedsl.diagnostics import fault, suggest
from spacedsl.ir.item import Item
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.library import SUFFIX, library
from spacedsl.lang.memo import Memo
from spacedsl.lang.page import Loader, Page, main_item
from spacedsl.syntax.words import units


def open_page(spec: str | Path, memo: Memo | None = None) -> tuple[Page, str | None]:
    """The page that `spec` means, and the item it names: a path, a name of the library (`vnni`),
    either followed by `#ITEM`. Who opens many pages keeps a `memo`. Raises `SpaceError`."""
    path, shown, item = locate(str(spec))
    page = Loader(memo=memo).load(path, shown)
    if item and item not in page.items:
        known_names = ", ".join(page.names) or "nothing"
        raise fault("no-item", f"{shown} has no `{item}`", help=f"it has: {known_names}")
    return page, item or None


def locate(spec: str) -> tuple[Path, str, str]:
    """Path, how to show it, and the item asked for ("" for none)."""
    where, item = split_item(spec)
    path = Path(where)
    if path.is_file():
        return path, where, item
    if path.name != where or path.suffix == SUFFIX:
        if path.exists() or path.is_absolute() or in_library(path.stem) is None:
            return path, where, item
        help = f"the library has `{path.stem}`: write its name alone"
        raise fault("cannot-read", f"there is no file {where}", help=help)
    known = in_library(where)
    if known is not None:
        return known, f"<library>/{known.name}", item
    message = f"there is neither a file nor a page of the library called {where}"
    close = nearest(where)
    help = f"did you mean `{close}`?" if close else "see the library's pages in spaces/"
    if where in units():
        help = f"a number and its unit are one word: `15{where}`"
    raise fault("cannot-read", message, help=help)


def in_library(name: str) -> Path | None:
    """The library's page of a name."""
    for folder in ("", "models", "baselines", "benchmarks", "targets"):
        known = library() / folder / f"{name}{SUFFIX}"
        if known.is_file():
            return known
    return None


def nearest(name: str) -> str | None:
    """The page of the library that a name was probably meant to be."""
    return suggest(name, [page.stem for page in library().rglob(f"*{SUFFIX}")])


def split_item(spec: str) -> tuple[str, str]:
    """`PATH#ITEM` in two, "" for no item; a path may have `#` too."""
    where, sign, item = spec.rpartition("#")
    if not sign or Path(spec).is_file() or "/" in item:
        return spec, ""
    return where, item


def load(spec: str | Path, memo: Memo | None = None) -> Item:
    """The hyperspace, space, model or target of a page (its only one, or `PATH#NAME`); `memo` as of
    `open_page`. Raises `SpaceError`."""
    page, item = open_page(spec, memo)
    return page.get(item or main_item(page))


def load_one(spec: str | Path, kind: str) -> Item:
    """As `load`, where an item of a kind is wanted: the page's only one of it, whatever else is on
    the page. Raises `SpaceError`."""
    page, item = open_page(spec)
    wanted = [name for name in page.names if page.kind(name) == kind]
    return page.get(item or (wanted[0] if len(wanted) == 1 else main_item(page)))


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
