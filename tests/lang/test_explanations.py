"""Every error is explained, its example shows it and the mended one does not."""

from __future__ import annotations

import ast
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
from tests.support import ROOT

CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def commands(text: str) -> list[list[str]]:
    found = [shlex.split(line) for line in text.splitlines()]
    assert all(words[0] == "spacedsl" for words in found)
    return [words[1:] for words in found]


def codes_found(found: Explanation, section: str, folder: Path) -> list[str] | None:
    """The codes that an example gives; None where it is not run."""
    shown = found.shown(section)
    if "not-run" in shown:
        assert "\nNot run: " in found.sections[section], "it says why"
        return None
    for name, text in shown.items():
        (folder / ("page.space" if name == "space" else name)).write_text(text, encoding="utf-8")
    if "space" in shown:
        return [d.code for d in check_page(Loader().open(folder / "page.space"))]
    codes: list[str] = []
    for words in commands(shown["sh"]):
        asked = [] if "--format" in words or words[0] == "export" else ["--format", "json"]
        result = CliRunner().invoke(app, [*words, *asked])
        if asked:
            codes += [d["code"] for d in json.loads(result.stdout)["diagnostics"]]
        else:
            codes += re.findall(r"title=([a-z-]+)|error\[([a-z-]+)\]", result.output)
    return [code if isinstance(code, str) else "".join(code) for code in codes]


@pytest.mark.parametrize("code", explained())
def test_an_example_shows_its_error_and_is_mended(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = explanation(code)
    assert found.text.startswith(f"# {code}: ")
    assert list(found.sections) == ["What", "Why", "Example", "Mended"]
    assert all(text.strip() for text in found.sections.values())
    monkeypatch.chdir(tmp_path)
    shown = codes_found(found, "Example", tmp_path)
    assert shown is None or set(shown) == {code}
    assert not codes_found(found, "Mended", tmp_path)


def raised() -> set[str]:
    """Every code that spacedsl raises, read off its source."""
    found = raised_codes()
    for path in sorted((ROOT / "spacedsl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in ("fault", "Diagnostic") and isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    runtime = (ROOT / "runtime" / "spacedsl_runtime" / "errors.py").read_text(encoding="utf-8")
    return found | set(re.findall(r'^    code = "([a-z-]+)"', runtime, flags=re.M)) - {"runtime"}


def test_every_code_is_explained() -> None:
    shown: set[str] = set()
    for path in CASES:
        expected = sections(path.read_text(encoding="utf-8"))["expect"]
        shown |= set(re.findall(r"error\[([a-z-]+)\]", expected))
    assert (raised() | shown) - set(explained()) == set()
    assert all(CODE.fullmatch(code) for code in explained())


def test_explain_prints_the_file_and_lists_all() -> None:
    run = CliRunner().invoke
    for code in explained():
        printed = run(app, ["explain", code]).stdout
        assert printed.split() == explanation(code).text.split()
        long = [line for line in printed.splitlines() if len(line) > 80]
        assert len(long) == (code == "wrong-hash"), "which shows a file"
    assert run(app, ["explain"]).stdout.split() == list(explained())
    found = json.loads(run(app, ["explain", "syntax", "--format", "json"]).stdout)
    assert set(found["sections"]) == {"What", "Why", "Example", "Mended"}
