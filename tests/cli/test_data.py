"""What commands say of data before they use them, and at their end."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from pathlib import Path

import pytest
import torch

from spacedsl.cli.datasets import description
from spacedsl_runtime.data.sources import open_data
from tests.cli.test_commands import run, run_json
from tests.runtime.test_data import write_folders, write_photo
from tests.runtime.training import PAGE

SHORT = ("--steps", "2", "--batch", "4", "--evaluate-every", "2", "--workers", "0")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "mini.space"
    path.write_text(PAGE.replace("1 x", "3 x"))
    return path


def train(page: Path, *more: str) -> tuple[str, ...]:
    data = f"imagefolder:{page.parent / 'data'}"
    return ("train", str(page), "--data", data, "--out", str(page.parent / "run"), *SHORT, *more)


def test_classes_and_counts_are_said_before_training(page: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    write_folders(page.parent / "data", ("dog", odd), 6)
    write_photo(page.parent / "data" / "train" / "dog" / "more.png", (9, 9))
    (page.parent / "data" / "train" / "dog" / "x.gif").write_bytes(b"GIF89a")
    found = run(*train(page))
    assert found.exit_code == 0, found.output
    said = found.stderr.splitlines()
    assert "2 classes, 13 images for training (1 of them held out), 12 for tests" in said[0]
    assert said[1] == "  caf\\xe9 6+6, dog 7+6"
    assert said[2].startswith("left out: 1 .gif (only ")
    assert said.index(said[0]) < min(i for i, line in enumerate(said) if "training" in line[:10])
    assert "2 steps of 4 images; this took " in found.stdout
    then = found.stdout.splitlines()[-1]
    words = shlex.split(then.removeprefix("next: "))
    assert words[0] == "spacedsl"
    after = run(*words[1:], *SHORT)
    assert after.exit_code == 0, after.output
    assert f"next: spacedsl search {page.parent / 'run'} --target cpu" in after.stdout


def test_json_says_only_what_is_left_out(page: Path) -> None:
    write_folders(page.parent / "data", count=6)
    (page.parent / "data" / "train" / "dog" / "x.tif").write_bytes(b"II")
    found = run(*train(page), "--format", "json")
    assert [line for line in found.stderr.splitlines() if "tif" in line or "classes" in line] == [
        "left out: 1 .tif (only .jpg, .jpeg, .png, .webp, .bmp, .ppm, .pgm are read)"
    ]
    assert shlex.split(json.loads(found.stdout)["next"])[-3:] == ["--qat", "--target", "cpu"]


def test_many_classes_are_said_by_the_fewest_and_the_most(tmp_path: Path) -> None:
    write_folders(tmp_path, tuple(f"c{i:02}" for i in range(30)), 2)
    write_photo(tmp_path / "train" / "c07" / "more.png", (9, 9))
    assert description(open_data(f"imagefolder:{tmp_path}"))[1] == (
        "  2 (c00) to 3 (c07) images of a class for training, 2 images of each class for tests"
    )


def test_the_decoder_is_a_setting_that_a_run_keeps(page: Path) -> None:
    write_folders(page.parent / "data", count=6)
    assert run(*train(page, "--decoder", "pillow")).exit_code == 0
    settings = json.loads((page.parent / "run" / "run.json").read_text())["settings"]
    assert settings["decoder"] == "pillow"
    assert run(*train(page, "--resume")).exit_code == 0
    if importlib.util.find_spec("simplejpeg"):
        again = run_json(*train(page, "--resume", "--decoder", "simplejpeg"), code=2)
        assert (
            'decoder is "pillow", this run\'s is "simplejpeg"' in again["diagnostics"][0]["message"]
        )


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_log_that_is_not_installed_is_said_beforehand(
    page: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda p: None if p == name else find(p))
    found = run_json(*train(page, "--log", name), code=2)["diagnostics"][0]
    assert found["code"] == "missing-extra"
    assert found["help"] == f"pip install 'spacedsl[{name}]'"
    assert not (page.parent / "run").exists()
