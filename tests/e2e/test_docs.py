"""Every page and every command that the texts show works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacedsl.cli.app import app
from spacedsl.lang.check import check_page
from spacedsl.lang.page import Loader
from spacedsl.text import Source
from tests.cli.test_help import LEAVES
from tests.shown import FENCE, INDENTED, TEXTS, blocks, shown
from tests.support import ROOT

NOT_RUN = {
    "spacedsl evolve --hyper spaces/onnxw.space": "tests/e2e/test_readme.py runs it to the letter",
    "spacedsl diff spaces/vnni.space found.space": "tests/e2e/test_readme.py runs it to the letter",
    "spacedsl bench": "it measures, and refuses on a busy machine",
    "spacedsl optimum --hyper onnxw": "it takes minutes; tests/search/test_exact_optimum.py",
    "spacedsl analyze": "tests/analysis/test_analysis.py runs it on a made-up device",
    "spacedsl target": "tests/targets/test_profile.py runs them on small spaces",
    "spacedsl evolve --hyper spaces/hyper.space --target cpu": "it measures for minutes",
    "spacedsl evolve --hyper mine.space --target cpu": "tests/e2e/test_howtos.py runs it otherwise",
    "spacedsl export models/": "tests/e2e/test_tutorial.py runs it on what it trained",
    "spacedsl which models/": "tests/e2e/test_tutorial.py runs it on what it trained",
    "spacedsl export seqnet-vnni-a0 --weights": "tests/runtime/test_trained.py runs it",
    "spacedsl distill": "tests/cli/test_distill.py runs them on a small hyperspace",
    "spacedsl evolve --hyper H.space": "it needs what the command before it trains",
    "spacedsl tables fit --accuracies": "tests/tables/test_accuracy.py runs it on made-up rows",
    "spacedsl tables fit --latencies": "tests/tables/test_networks.py runs it on made-up rows",
    "spacedsl tables calibrate mine.json": "tests/tables/test_networks.py runs it",
    "spacedsl train": "tests/cli/test_train.py runs it on digits",
    "spacedsl plan H.space": "tests/cli/test_plan.py runs it on digits",
    "spacedsl search": "tests/cli/test_search.py runs it on what it trained",
    "spacedsl import timm:": "tests/runtime/test_foreign_timm.py runs it where timm is installed",
    "spacedsl export net.space --checkpoint": "tests/runtime/test_foreign.py runs it",
    "spacedsl eval": "tests/cli/test_train.py runs it on what it trained",
}
"""Beginnings of commands, and why they are not run here."""

KNOWN = {"space", "sh", "text", "python", "yaml", "json", "lua", "toml", "elisp"}
"""Languages of blocks."""


def pages(text: str) -> list[str]:
    return [
        body
        for language, _, body in blocks(text)
        if language == "space" or (not language and body.startswith("language"))
    ]


def commands(text: str) -> list[str]:
    fenced = [body for language, _, body in blocks(text) if language == "sh"]
    lines = [line for body in fenced for line in body.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    indented = INDENTED.findall(FENCE.sub("", text))
    return [p for p in (*parts, *indented) if p.startswith("spacedsl ")]


def words(line: str) -> str:
    """The command with single blanks."""
    return " ".join(line.split())


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_pages_check(path: Path, tmp_path: Path) -> None:
    for text in pages(path.read_text(encoding="utf-8")):
        page = Loader().open_source(Source(path.name, text), tmp_path)
        assert check_page(page) == (), text


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text(encoding="utf-8")
    for folder in ("spaces", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for _, name, body in blocks(text):
        if name:
            (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in commands(text):
        if any(words(line).startswith(known) for known in NOT_RUN):
            continue
        result = CliRunner().invoke(app, shlex.split(re.sub(r"\s#.*", "", line))[1:])
        differs = words(line).startswith("spacedsl diff") and result.exit_code == 1
        assert result.exit_code == 0 or differs, f"{line}\n{result.output}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_command_is_a_command_line(path: Path) -> None:
    """Also those of blocks that are not run here, and behind `torchrun`."""
    for line in shown(path):
        words = tuple(shlex.split(line)[1:])
        command = max((p for p in LEAVES if words[: len(p)] == p), key=len)
        LEAVES[command].make_context("spacedsl", list(words[len(command) :]))


def test_what_is_not_run_is_shown_somewhere() -> None:
    shown = [line for path in TEXTS for line in commands(path.read_text(encoding="utf-8"))]
    for known in NOT_RUN:
        assert any(words(line).startswith(known) for line in shown), known


def test_every_block_has_a_language_or_is_compared() -> None:
    """Blocks without a language are output, which the README's own test compares."""
    for path in TEXTS:
        languages = {language for language, _, _ in blocks(path.read_text(encoding="utf-8"))}
        allowed = KNOWN | ({""} if path.name == "README.md" else set())
        assert languages <= allowed, path
