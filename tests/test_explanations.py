"""Every error of the language is explained, its example shows it and the mended one does not."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacedsl.cli.app import app
from spacedsl.lang.check import check_page
from spacedsl.lang.explanations import Explanation, explained, explanation
from spacedsl.lang.page import Loader
from tests.conformance.test_conformance import CASES, raised_codes, sections

NO_EXAMPLE = {"not-text", "format-unsafe", "more-errors", "internal"}
"""A file of bytes, a hundred errors, and what no page is known to cause."""


def codes_found(found: Explanation, section: str, folder: Path) -> list[str]:
    """The codes that an example gives."""
    shown = found.shown(section)
    for name, text in shown.items():
        (folder / ("page.space" if name == "space" else name)).write_text(text, encoding="utf-8")
    if "space" in shown:
        return [d.code for d in check_page(Loader().open(folder / "page.space"))]
    words = shlex.split(shown["sh"])
    assert words[0] == "spacedsl"
    asked = [] if "--format" in words else ["--format", "json"]
    result = CliRunner().invoke(app, [*words[1:], *asked])
    if asked:
        return [d["code"] for d in json.loads(result.stdout)["diagnostics"]]
    return re.findall(r"title=([a-z-]+)", result.stdout)


@pytest.mark.parametrize("code", sorted(set(explained()) - NO_EXAMPLE))
def test_an_example_shows_its_error_and_is_mended(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = explanation(code)
    assert found.text.startswith(f"# {code}: ")
    assert found.sections["What"].strip()
    monkeypatch.chdir(tmp_path)
    assert codes_found(found, "Example", tmp_path) == [code]
    assert codes_found(found, "Mended", tmp_path) == []


def test_every_code_of_the_language_is_explained() -> None:
    shown: set[str] = set()
    for path in CASES:
        expected = sections(path.read_text(encoding="utf-8"))["expect"]
        shown |= set(re.findall(r"error\[([a-z-]+)\]", expected))
    assert (raised_codes() | shown) - set(explained()) == set()


def test_explain_prints_the_file_and_lists_all() -> None:
    run = CliRunner().invoke
    assert run(app, ["explain", "unclosed"]).stdout == explanation("unclosed").text
    assert run(app, ["explain"]).stdout.split() == list(explained())
    found = json.loads(run(app, ["explain", "syntax", "--format", "json"]).stdout)
    assert set(found["sections"]) == {"What", "Why", "Example", "Mended"}
