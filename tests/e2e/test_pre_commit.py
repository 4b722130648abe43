"""The hooks of .pre-commit-hooks.yaml, run by pre-commit itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
MESSY = "language   1\n"
WRONG = "language 2\n"


def test_the_hooks_name_commands_that_are_there() -> None:
    entries = re.findall(r"^  entry: (.*)$", HOOKS, re.MULTILINE)
    assert entries == ["spacedsl fmt", "spacedsl check"]
    assert re.findall(r"^  files: (.*)$", HOOKS, re.MULTILINE) == [r"\.space$"] * 2


@pytest.mark.skipif(
    shutil.which("pre-commit") is None or shutil.which("git") is None, reason="no pre-commit"
)
def test_pre_commit_runs_them(tmp_path: Path) -> None:
    """As local hooks of this environment, so that nothing is downloaded."""
    env = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    work = tmp_path / "work"
    work.mkdir()
    hooks = HOOKS.replace("language: python", "language: system").replace(
        "entry: spacedsl", f"entry: {sys.executable} -m spacedsl"
    )
    indented = "".join(f"      {line}\n" for line in hooks.splitlines() if line)
    config = f"repos:\n  - repo: local\n    hooks:\n{indented}"
    (work / ".pre-commit-config.yaml").write_text(config)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=work, env=env, capture_output=True, text=True, check=False
        )

    run("git", "init", "-q")
    page = work / "p.space"
    page.write_text(MESSY)
    (work / "other.txt").write_text("not a page")
    run("git", "add", "-A")
    done = run("pre-commit", "run", "--all-files")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "files were modified by this hook" in done.stdout
    assert page.read_text() == "language 1\n"
    run("git", "add", "-A")
    done = run("pre-commit", "run", "--all-files")
    assert done.returncode == 0, done.stdout + done.stderr
    page.write_text(WRONG)
    run("git", "add", "-A")
    done = run("pre-commit", "run", "--all-files")
    assert done.returncode == 1
    assert "language-version" in done.stdout
