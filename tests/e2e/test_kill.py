"""A real search, killed with SIGKILL and resumed, ends in the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SEARCH = (
    *(sys.executable, "-m", "spacedsl", "evolve", "--hyper", "onnxw", "--target", "vnni"),
    *("--population", "60", "--sample", "20", "--cycles", "400", "--seed", "3", "--format", "json"),
)


def command(folder: Path, *more: str) -> list[str]:
    files = ("--out", str(folder / "found.space"), "--journal", str(folder / "journal.jsonl"))
    return [*SEARCH, *files, *more]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run leaves behind."""
    folder = tmp_path_factory.mktemp("whole")
    result = subprocess.run(command(folder), capture_output=True, check=True)
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    return {**files, "stdout": result.stdout}


@pytest.mark.parametrize("lines", [1, 30, 61, 250, 399])
def test_killed_and_resumed_ends_in_the_same_bytes(
    lines: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    with subprocess.Popen(
        command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") > lines:
                break
            time.sleep(0.002)
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
    before = journal.read_bytes()
    assert whole["journal.jsonl"].startswith(before[: before.rfind(b"\n") + 1])
    result = subprocess.run(command(tmp_path, "--resume"), capture_output=True, check=True)
    assert result.stdout == whole["stdout"]
    assert journal.read_bytes() == whole["journal.jsonl"]
    assert (tmp_path / "found.space").read_bytes() == whole["found.space"]


def test_nothing_that_is_written_holds_a_path(whole: dict[str, bytes]) -> None:
    text = b"".join(whole.values()).decode()
    for path in (sys.prefix, "/tmp", "journal.jsonl", "found.space", str(Path.home())):
        assert path not in text
