"""What a newcomer sees of the command line: the first screen, the list, examples, `init`."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest
import typer

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.cli.commands import COMMANDS, FIRST_STEPS, WITHIN, every_example, examples
from spacedsl.ir.space import Space
from spacedsl.operators.size import pair
from tests.cli.test_commands import run


def test_alone_it_says_what_to_do_first() -> None:
    found = run()
    assert found.exit_code == 0
    assert all(f"  {command}\n" in found.stdout for command, _ in FIRST_STEPS)
    assert all(len(line) <= 80 for line in found.stdout.splitlines())


def test_what_to_do_first_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed as it stands there; tests/e2e/test_readme.py searches, and below `init` asks."""
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line)[1:] for line, _ in FIRST_STEPS]
    tried = [words for words in lines if words[0] not in ("evolve", "init")]
    assert len(tried) == len(FIRST_STEPS) - 2
    for words in tried:
        found = run(*words)
        assert found.exit_code == 0, (words, found.output)


def test_the_list_is_in_groups_and_cuts_nothing() -> None:
    found = run("--help")
    for name, command in COMMANDS.items():
        line = next(x for x in found.stdout.splitlines() if x.split()[:1] == [name])
        assert line.endswith(command.line)
    assert all(len(line) <= 80 for line in found.stdout.splitlines())


WIDE = "code     ", "warning:", "help:"
"""Beginnings of what is one word, or a sentence, which only a terminal breaks."""


@pytest.mark.parametrize(
    "line",
    [
        "show seqnet-vnni-a0 --target vnni",
        "show vnni --target vnni",
        "show vnni --origin",
        "diff vnni pixel4",
        "diff seqnet-vnni-a0 seqnet-vnni-a1 --target vnni",
        "analyze --target vnni",
        "target list",
        "target show vnni",
    ],
)
def test_no_table_is_wider_than_a_terminal(line: str) -> None:
    found = run(*line.split())
    lines = [x for x in found.output.splitlines() if not x.strip().startswith(WIDE)]
    assert len(lines) > 2
    assert all(len(x) <= 80 for x in lines), max(lines, key=len)


@pytest.mark.parametrize("word", ["-V", "--version", "-h"])
def test_short_options(word: str) -> None:
    assert run(word).exit_code == 0
    assert run("show", "-h").stdout == run("show", "--help").stdout


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from leaves(inner, (*path, name))
    if not getattr(command, "commands", None):
        yield path, command


LEAVES = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_help_ends_with_examples(path: tuple[str, ...]) -> None:
    lines = examples(" ".join(path))
    assert lines
    shown = run(*path, "--help").stdout.rstrip()
    assert shown.endswith("\n".join(f"    {x}" for x in lines))
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(line.startswith(f"spacedsl {' '.join(path)}") for line in lines)


@pytest.mark.parametrize("line", sorted(set(every_example())))
def test_every_example_is_a_command_line(line: str) -> None:
    words = shlex.split(line)[1:]
    path = max((p for p in LEAVES if tuple(words[: len(p)]) == p), key=len)
    LEAVES[path].make_context("spacedsl", words[len(path) :])


def test_examples_are_of_commands() -> None:
    assert {tuple(path.split()) for path in WITHIN} <= set(LEAVES)


@pytest.mark.parametrize("image", [32, 64, 100, 160, 224, 320])
def test_init_writes_a_hyperspace(tmp_path: Path, image: int) -> None:
    out = tmp_path / "mine.space"
    size = ("--image", str(image))
    found = run("init", "--out", str(out), "--target", "vnni", *size, "--classes", "10")
    assert found.exit_code == 0, found.output
    page = api.load(out)
    assert isinstance(page, Space)
    assert page.resolutions[-1] == image
    assert run("fmt", "--check", str(out)).exit_code == 0
    *_, last = found.stdout.splitlines()
    then = shlex.split(last.removeprefix("next: spacedsl "))
    LEAVES[then[0],].make_context("spacedsl", then[1:])
    searched = then[0] == "evolve"
    assert searched == (page.quality is not None) == (image in (224,))
    assert image // prod(pair(s.stride)[0] for s in page.stages) >= 4


def test_init_overwrites_nothing_and_asks_nobody(tmp_path: Path) -> None:
    out = tmp_path / "mine.space"
    refused = run("init", "--out", str(out), "--target", "cpu")
    assert refused.exit_code == 2
    assert "--image, --classes" in refused.stderr
    out.write_text("precious")
    flags = ("--target", "cpu", "--image", "224", "--classes", "5")
    assert run("init", "--out", str(out), *flags).exit_code == 2
    assert out.read_text() == "precious"


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    main, child = pty.openpty()
    call = [sys.executable, "-m", "spacedsl", "init", "--out", str(tmp_path / "asked.space")]
    with subprocess.Popen(call, stdin=child, stdout=child, stderr=child) as process:
        os.write(main, b"pixel4\n7\n192\n3\n")  # 7 pixels are refused, and asked for again
        assert process.wait(60) == 0
    said = os.read(main, 65536).decode()
    assert "from 32 to 1,024" in said
    assert "next: spacedsl evolve" in said
    os.close(child)
    os.close(main)
    assert "linear -> 3 " in (tmp_path / "asked.space").read_text()
