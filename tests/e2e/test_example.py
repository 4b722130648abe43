"""The trained example works as its README says: accuracy, speed, origin, and the app."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spacedsl.compiler.card import app
from tests.cli.test_commands import run, run_json
from tests.support import ROOT

CLOSET = ROOT / "examples" / "closet"
PICTURES = {"boot": "Ankle boot", "trouser": "Trouser", "bag": "Bag"}
FILES = ("closet.onnx", "closet.tflite")


def test_it_is_small() -> None:
    assert sum(p.stat().st_size for p in CLOSET.rglob("*") if p.is_file()) < 1_000_000


@pytest.mark.parametrize("file", FILES)
def test_it_names_most_pictures_right(file: str) -> None:
    data = f"fashion-mnist:{CLOSET / 'images'}"
    found = run_json("eval", str(CLOSET / file), "--data", data)
    assert found["images"] == 200
    (stated,) = re.findall(r"the class of ([\d.]+) %", (CLOSET / "README.md").read_text())
    assert abs(found["top1"] - float(stated) / 100) < 0.05


@pytest.mark.parametrize("file", FILES)
def test_it_is_of_its_pages_and_of_its_integers(file: str, tmp_path: Path) -> None:
    page, weights = str(CLOSET / "net.space"), str(CLOSET / "net.npz")
    out = tmp_path / file
    assert run("export", page, "--weights", weights, "--out", str(out)).exit_code == 0
    assert out.read_bytes() == (CLOSET / file).read_bytes()
    assert "net.space" in run("which", str(CLOSET / file)).stdout


@pytest.mark.parametrize("file", FILES)
def test_it_can_be_timed(file: str) -> None:
    quick = ("--seconds", "0.5", "--allow-noise")
    found = run_json("bench", str(CLOSET / file), *quick)
    assert 0 < found["subjects"][0]["latency_ms"]["median"] < 100


@pytest.mark.parametrize("file", FILES)
def test_the_app_names_the_pictures(file: str, tmp_path: Path) -> None:
    shutil.copy(CLOSET / file, tmp_path)
    text = app(file.rpartition(".")[2], file, 1)
    for picture, label in PICTURES.items():
        shutil.copy(CLOSET / f"{picture}.png", tmp_path)
        call = [sys.executable, "-c", text.replace("photo.jpg", f"{picture}.png")]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == label
    if file.endswith("tflite"):
        assert text in (CLOSET / "card.md").read_text(encoding="utf-8")


def test_eval_needs_no_pytorch() -> None:
    start = "import sys; sys.modules['torch'] = None; from spacedsl.cli.app import main; main()"
    images = "fashion-mnist:examples/closet/images"
    line = [sys.executable, "-c", start, "eval", "examples/closet/closet.onnx", "--data", images]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "top-1 85.50%" in found.stdout
