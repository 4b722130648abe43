"""The wheel carries grammar, pages and tables, and works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, which lies beside it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True, text=True)
    (found,) = out.glob("*.whl")
    return found


SOURCES = {"spacedsl", "runtime", "grammars", "spaces", "docs", "examples", "tests"}
BESIDE = {"README.md", "CHANGELOG.md", "LICENSE", "constraints.txt", "pyproject.toml"}
MADE = {"PKG-INFO", ".gitignore"}
"""What the builder adds."""


def test_the_source_distribution_has_no_strays(wheel: Path) -> None:
    (file,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(file) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {name.partition("/")[0] for name in names} == SOURCES | BESIDE | MADE
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_every_page_and_table_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    pages = {f"spacedsl/{p.relative_to(ROOT)}" for p in (ROOT / "spaces").rglob("*.space")}
    tables = {str(p.relative_to(ROOT)) for p in (ROOT / "spacedsl/tables/data").glob("*.json")}
    runtime = {str(p.relative_to(ROOT / "runtime")) for p in (ROOT / "runtime").rglob("*.py")}
    assert "spacedsl_runtime/plan.py" in runtime
    errors = {f"spacedsl/errors/{p.name}" for p in (ROOT / "docs/errors").glob("*.md")}
    assert errors
    assert errors <= names
    assert {"spacedsl/grammars/space.lark", "spacedsl/grammars/space.json"} <= names
    assert {"spacedsl/grammars/space.lark", *pages, *tables, *runtime} <= names
    assert not any(name.startswith("tests/") for name in names)


def test_an_installed_wheel_checks_and_formats(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1));"
        "import spacedsl; assert spacedsl.__file__.startswith(sys.path[0]), spacedsl.__file__;"
        "import spacedsl_runtime.plan as r; assert r.__file__.startswith(sys.path[0]), r.__file__;"
        "from spacedsl.cli.app import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(target), "show", "vnni", "--code"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "onnxw-151122-023231\n", "")
