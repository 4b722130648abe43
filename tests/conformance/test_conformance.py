"""Bad input, a case per file: the pages and the diagnostics they must give.

A case is text in sections. `=== page` is the page checked and `=== file NAME` one beside it
(`=== bytes` and `=== file-bytes NAME` hold escapes such as \\xff); `=== import CODE of SPACE` reads
an authors' code instead; `=== main` asks for the page's only item, `=== code` for the code of its
last; `=== expect` is what is said, word for word. SPACEDSL_UPDATE=1 writes what is said into the
cases; read the difference."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from spacedsl.diagnostics import Diagnostic, SpaceError, render
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.check import check_page
from spacedsl.lang.codes import space_code, space_from_code, subnet_code, subnet_from_code
from spacedsl.lang.page import Loader, main_item
from tests.support import ROOT, library_space

CASES = sorted(Path(__file__).parent.glob("*.test"))
SECTION = re.compile(r"^=== (.*)\n", re.MULTILINE)

WARNINGS = {"idle-stride", "no-head", "shifted-patches", "unclear"}
NOT_REACHABLE = {"format-unsafe", "unknown-target", "wrong-kind"} | WARNINGS
"""No page causes these errors: the formatter's refusal to change what a page says, for which none
is known, what is an error of commands and a warning of pages, and what a command says of the name
that it is given."""


def sections(text: str) -> dict[str, str]:
    """Sections by title; "" is what stands before the first."""
    parts = SECTION.split(text)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def write_files(case: dict[str, str], folder: Path) -> None:
    for title, text in case.items():
        kind, _, name = title.partition(" ")
        if kind in ("page", "file"):
            (folder / (name or "page.space")).write_text(text, encoding="utf-8", newline="")
        elif kind in ("bytes", "file-bytes"):
            raw = text.rstrip("\n").encode().decode("unicode_escape").encode("latin-1")
            (folder / (name or "page.space")).write_bytes(raw)


def diagnostics(case: dict[str, str], folder: Path) -> list[Diagnostic]:
    """Everything that is wrong, each once, in order."""
    code = next((t.split() for t in case if t.startswith("import ")), None)
    try:
        if code is not None:
            read_code(code[1], code[3])
            return []
        page = Loader().open(folder / "page.space", "page.space")
        if "main" in case:
            main_item(page)
        if "code" in case:
            write_code(page.get(page.names[-1]))
    except SpaceError as error:
        return list(error.diagnostics)
    return list(check_page(page))


def read_code(code: str, space: str) -> None:
    if code.startswith("d"):
        subnet_from_code(code, library_space(space), "found")
    else:
        space_from_code(code, library_space(space), "found")


def write_code(item: object) -> None:
    if isinstance(item, Subnet):
        subnet_code(item)
    elif isinstance(item, Space):
        space_code(item)


def rendered(found: list[Diagnostic], folder: Path) -> str:
    text = "".join(render(d.to_json()) + "\n" for d in found)
    return text.replace(f"{folder}{os.sep}", "")


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    case = sections(text)
    assert case[""].startswith("# "), "a case begins with a line on what it shows"
    write_files(case, tmp_path)
    found = rendered(diagnostics(case, tmp_path), tmp_path)
    if os.environ.get("SPACEDSL_UPDATE"):
        path.write_text(text.partition("=== expect\n")[0] + f"=== expect\n{found}", "utf-8")
        return
    assert found, "a case shows an error"
    assert found == case["expect"]


def raised_codes() -> set[str]:
    """Every code that the language raises, read off its source."""
    found: set[str] = set()
    for folder in ("lang", "syntax"):
        for path in (ROOT / "spacedsl" / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args:
                    found |= code_of(node)
    return found


def code_of(call: ast.Call) -> set[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0]
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return set()
    if name == "unknown":
        return {f"unknown-{first.value}"}
    return {first.value} if name in ("error", "fail", "fault", "Diagnostic", "_error") else set()


def test_every_code_has_a_case() -> None:
    shown: set[str] = set()
    for path in CASES:
        expected = sections(path.read_text(encoding="utf-8"))["expect"]
        shown |= set(re.findall(r"error\[([a-z-]+)\]", expected))
    assert raised_codes() - shown - NOT_REACHABLE == set()
