"""The tutorial, command by command: from a folder of photos to an answer of an app."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from spacedsl import api
from spacedsl.compiler.card import app
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.lang.page import Loader
from spacedsl.text import Source
from tests.cli.test_commands import run
from tests.shown import blocks
from tests.support import ROOT
from tests.targets.made_up_target import write_target

TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILES = {name: body for _, name, body in blocks(TEXT) if name}
LINES = [
    line
    for language, name, body in blocks(TEXT)
    if language in ("sh", "text") and not name
    for line in body.splitlines()
]

STEPS = {"200": "12", "60": "4"}
"""What `--steps` of the text are here: the commands are tried, not the accuracy."""


def changed(words: list[str]) -> list[str]:
    """A command with fewer steps; `search` goes by made-up latencies, since nothing is measured."""
    found = list(words)
    for option, value in pairwise(words):
        if option == "--steps":
            found[found.index(option) + 1] = STEPS[value]
        if words[1] == "search" and option == "--target":
            found[found.index(option) + 1] = "made-up.space"
    return found


@pytest.mark.slow
def test_the_tutorial_ends_in_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    for name, body in FILES.items():
        Path(name).write_text(body, encoding="utf-8")
    write_target(tmp_path, api.load_space("shapes.space"))
    for line in LINES:
        words = shlex.split(line)
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:], "20"], check=True)
        elif words[0] == "spacedsl":
            done = run(*changed(words)[1:])
            assert done.exit_code == 0, (line, done.output)
        else:
            assert line.startswith("pip install "), line
    shutil.copy("photos/circle/000.jpg", "photo.jpg")
    answers = []
    for name in ("onnx_app.py", "litert_app.py"):
        said = subprocess.run([sys.executable, name], capture_output=True, text=True, check=True)
        answers.append(said.stdout.strip())
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    assert spec is not None
    assert spec.loader is not None
    hub = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hub)
    ranked = hub.deployed("models/shapes-2ms.onnx")("photo.jpg")
    assert sum(share for _, share in ranked) == pytest.approx(1, abs=1e-5)
    assert answers == [ranked[0][0]] * 2
    assert {name for name, _ in ranked} == {"circle", "square", "triangle"}


def test_the_apps_are_those_of_the_card() -> None:
    assert FILES["onnx_app.py"] == app("onnx", "models/shapes-2ms.onnx", 3)
    assert FILES["litert_app.py"] == app("tflite", "shapes.tflite", 3)
    for name in ("onnx_app.py", "litert_app.py"):
        assert len([line for line in FILES[name].splitlines() if line]) <= 20


def test_the_tutorial_says_what_its_space_has() -> None:
    (count,) = re.findall(r"a set of ([\d,]+) small networks", TEXT)
    page = Loader().open_source(Source("shapes.space", FILES["shapes.space"]), ROOT)
    space = page.get("shapes")
    assert isinstance(space, Space)
    assert count == f"{count_subnets(space):,}"
