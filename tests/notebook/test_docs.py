"""What the documentation shows of the Python API runs as it stands there, and needs no more than
`import spacedsl` of ours."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from tests.support import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells() -> list[str]:
    """The code of the notebook's cells."""
    notebook = json.loads((ROOT / "docs/notebook.ipynb").read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def blocks() -> list[str]:
    """The code of the page about Python."""
    return BLOCK.findall((ROOT / "docs/python.md").read_text(encoding="utf-8"))


def run(parts: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is there after the parts ran in turn, in a folder of their own. A part that ends in an
    expression shows it, as a notebook does."""
    monkeypatch.chdir(folder)
    there: dict[str, Any] = {}
    for number, text in enumerate(parts):
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"part {number}", "exec"), there)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), f"part {number}", "eval"), there)
            assert len(repr(shown)) < 2000
    return there


@pytest.mark.slow
def test_the_notebook_runs_to_a_file_that_knows_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpl.use("agg")
    there = run(cells(), tmp_path, monkeypatch)
    assert len(there["latency_ms"]) == 1000
    assert (tmp_path / "digits.onnx").stat().st_size > 1000
    assert there["top1"] > 0.6


@pytest.mark.slow
def test_the_page_about_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = run(blocks(), tmp_path, monkeypatch)
    assert (tmp_path / "found.space").is_file()
    assert (tmp_path / "tiny.onnx").is_file()
    assert there["found"].score > there["found"].detail.comparison.random_mean > 70
    assert there["searched"].models[0].top1 >= 0
    assert (tmp_path / "models" / there["searched"].models[0].file).is_file()
    assert there["run"].rows == 2
    assert "searching best score" in capsys.readouterr().out


@pytest.mark.parametrize("parts", [cells(), blocks()], ids=["notebook", "page"])
def test_only_the_public_package_is_imported(parts: list[str]) -> None:
    for text in parts:
        for node in ast.walk(ast.parse(text)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.startswith(("spacedsl.", "spacedsl_runtime"))]
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
