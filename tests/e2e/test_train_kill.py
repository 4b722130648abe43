"""Real trainings, FP32 and QAT, killed with SIGKILL and resumed, end in the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.test_data import write_fashion
from tests.runtime.training import PAGE

FILES = ("checkpoint.safetensors", "metrics.jsonl", "plan.json", "resolved.space")

TRAIN = (
    *("--steps", "60", "--batch", "32", "--save-every", "7"),
    *("--evaluate-every", "45", "--threads", "1"),
)


Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command line of a training to a folder."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "mini.space").write_text(PAGE)
    write_fashion(folder, 200, 40)
    start = (sys.executable, "-m", "spacedsl", "train", str(folder / "mini.space"))

    def words(out: Path, *more: str) -> list[str]:
        return [*start, "--data", f"fashion-mnist:{folder}", "--out", str(out), *TRAIN, *more]

    return words


@pytest.fixture(scope="module")
def whole(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed training."""
    out = tmp_path_factory.mktemp("whole") / "run"
    result = subprocess.run(
        command(out, "--format", "json"), capture_output=True, text=True, check=True
    )
    found = json.loads(result.stdout)
    assert found["space"] == "mini"
    assert found["subnets"]["largest"]["images"] == 40
    return out


def killed(command: list[str], out: Path, checkpoints: int) -> None:
    """Run it and kill it once it has written its description and this many checkpoints."""
    path, seen = out / "checkpoint.safetensors", set[int]()  # inodes are used again, times are not
    old = path.stat().st_mtime_ns if path.exists() else None
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if path.exists():
                seen.add(path.stat().st_mtime_ns)
            if (out / "run.json").exists() and len(seen - {old}) >= checkpoints:
                break
            time.sleep(0.001)
        assert running.poll() is None, "it ended before it was killed"
        os.kill(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL


def same_files(out: Path, whole: Path) -> None:
    for name in FILES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_killed_and_resumed_ends_in_the_same_bytes(
    command: Command, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed(command(out), out, checkpoints=0)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    refused = subprocess.run(command(out), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "error[bad-run]" in refused.stderr
    assert "say --resume" in refused.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    killed(command(out, "--resume"), out, checkpoints=3)
    path = out / "checkpoint.safetensors"
    assert path.read_bytes() != (whole / path.name).read_bytes()
    subprocess.run(command(out, "--resume"), capture_output=True, check=True)
    same_files(out, whole)


@pytest.mark.slow
def test_a_killed_qat_ends_in_the_same_bytes(command: Command, whole: Path, tmp_path: Path) -> None:
    out, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    for folder in (out, undisturbed):
        shutil.copytree(whole, folder)
    qat = ("--qat", "--target", "cpu", "--steps", "24", "--evaluate-every", "9")
    subprocess.run(command(undisturbed, *qat), capture_output=True, check=True)
    killed(command(out, *qat), out / "qat", checkpoints=2)
    path = out / "qat/checkpoint.safetensors"
    assert path.read_bytes() != (undisturbed / "qat" / path.name).read_bytes()
    subprocess.run(command(out, *qat, "--resume"), capture_output=True, check=True)
    same_files(out / "qat", undisturbed / "qat")
    same_files(out, whole)
