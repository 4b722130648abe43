"""Tables that pages name: shipped ones by name, others by path from the page."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from spacedsl.diagnostics import Diagnostic, Fix, one_of, place, suggest
from spacedsl.ir.target import PROFILE
from spacedsl.lang.scope import Scope
from spacedsl.syntax.tree import Token

FOLDER = Path(str(resources.files("spacedsl") / "tables" / "data"))


def shipped() -> tuple[str, ...]:
    """Names of the tables that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def is_path(said: str) -> bool:
    """Whether a table is said by its path, not by a name."""
    return "/" in said or said.endswith((".json", ".npz"))


def table_said(said: str, scope: Scope) -> str:
    """A table as a page says it, a path from where we are: beside the page, else in the library."""
    if not is_path(said):
        return said
    found = scope.find_file(said)
    return str(found if found is not None else scope.folder / said)


def missing_table(token: Token, scope: Scope) -> Diagnostic | None:
    """What is wrong with a page's word for a table, None where the table is there."""
    said = token.text[1:-1]
    where = place(scope.source, token.span)
    if is_path(said):
        if scope.find_file(said) is not None:
            return None
        help = "looked beside this page and in the library"
        return Diagnostic("table-missing", f"there is no table {said}", where, help)
    known = shipped()
    if said in known:
        return None
    if said == PROFILE:
        fix = Fix("leave out the quotes", where, PROFILE)
        help = "`latency profile` without quotes is what was measured on this device"
        return Diagnostic("table-missing", f"no table is named `{said}`", where, help, fixes=(fix,))
    close = suggest(said, known)
    help = f"did you mean `{close}`?" if close else f"{one_of(known)}, or a path to a .json file"
    return Diagnostic("table-missing", f"no table is named `{said}`", where, help)
