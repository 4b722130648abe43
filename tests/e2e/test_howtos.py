"""What how-tos say besides their commands: counts, and the workflow that one has to be copied."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.cli.test_commands import run
from tests.shown import words_of
from tests.support import ROOT


def test_as_many_networks_are_drawn_as_a_fit_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of accuracies is fitted to as many networks as the how-to lets people train."""
    monkeypatch.chdir(tmp_path)
    page = "howto/own-accuracies.md"
    assert run(*words_of(page, "spacedsl init", {})[1:]).exit_code == 0
    sampled = words_of(page, "spacedsl sample", {"300": "1"})[1:]
    assert run(*sampled).exit_code == 0
    (network,) = Path("networks").iterdir()
    Path("trained.csv").write_text(f"page,top1\n{network},71.3\n")
    fitted = run(*words_of(page, "spacedsl tables fit", {})[1:])
    (enough,) = re.findall(r"([\d,]+) networks would do", fitted.stderr)
    assert int(enough) <= 300


def test_the_workflow_for_github_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps, in a repository with a page."""
    text = (ROOT / "examples" / "ci" / "spacedsl.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["pages"]["steps"]
    lines = [step["run"] for step in steps if "run" in step]
    assert lines[0].startswith("pip install ")
    (tmp_path / "spaces").mkdir()
    page = tmp_path / "spaces" / "mine.space"
    page.write_text((ROOT / "spaces" / "vnni.space").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    for line in lines[1:]:
        done = run(*shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output)
    page.write_text(page.read_text(encoding="utf-8") + "\n\n")
    assert run(*shlex.split(lines[1])[1:]).exit_code == 1
    page.write_text(page.read_text(encoding="utf-8").replace("stage1", "stagee1"))
    done = run(*shlex.split(lines[2])[1:])
    assert done.exit_code == 2
    assert done.stdout.startswith("::error title=unknown-stage,file=spaces/mine.space,line=")
