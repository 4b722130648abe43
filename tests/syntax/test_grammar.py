"""grammars/space.json and the editors' grammars are what the grammar gives. SPACEDSL_UPDATE=1
writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spacedsl.syntax.compiled import build, compiled, compiled_text, grammar_text
from spacedsl.syntax.editors import DECLARATIONS, OPS, groups, textmate_text
from spacedsl.syntax.words import keywords
from tests.support import PAGES, ROOT, page_id


def check_file(name: str, text: str) -> None:
    path = ROOT / "grammars" / name
    if os.environ.get("SPACEDSL_UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "run SPACEDSL_UPDATE=1 pytest"


def test_the_tables_are_of_the_grammar() -> None:
    built = build(grammar_text())
    check_file("space.json", compiled_text(built))
    assert compiled() == built


def test_checking_a_page_needs_no_heavy_package() -> None:
    code = (
        "import sys; from spacedsl.cli.app import app\n"
        "try: app(['check', 'vnni'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"lark", "numpy", "torch", "onnx"} & set(found.stdout.split())


def test_the_textmate_grammar_is_of_the_grammar() -> None:
    check_file("space.tmLanguage.json", textmate_text())


def test_every_word_is_highlighted_as_what_it_is() -> None:
    found = groups()
    assert sorted(w for words in found.values() for w in words) == sorted(keywords().values())
    assert set(found["declaration"]) == set(DECLARATIONS)
    assert set(found["op"]) == set(OPS)


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_library_pages_highlight(path: Path) -> None:
    pytest.importorskip("pygments")
    from pygments.token import Error

    from spacedsl.highlight import SpaceLexer

    text = path.read_text(encoding="utf-8")
    tokens = list(SpaceLexer(stripnl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert Error not in {kind for kind, _ in tokens}
