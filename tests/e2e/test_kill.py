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
    *("--seed", "3", "--format", "json"),
)
SIZES = {
    "best": ("--population", "20", "--sample", "7", "--cycles", "45"),
    "qt": ("--population", "60", "--sample", "20", "--cycles", "400"),
}


def command(definition: str, folder: Path, *more: str) -> list[str]:
    files = ("--out", str(folder / "found.space"), "--journal", str(folder / "journal.jsonl"))
    options = ("--definition", definition, *SIZES[definition])
    return [*SEARCH, *options, *files, *more]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What undisturbed runs leave behind, by definition."""
    found = {}
    for definition in SIZES:
        folder = tmp_path_factory.mktemp(definition)
        result = subprocess.run(command(definition, folder), capture_output=True, check=True)
        files = {p.name: p.read_bytes() for p in folder.iterdir()}
        found[definition] = {**files, "stdout": result.stdout}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("definition", "lines"),
    [("best", 33), ("qt", 1), ("qt", 399)],
)
def test_killed_and_resumed_ends_in_the_same_bytes(
    definition: str, lines: int, whole: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    journal, wanted = tmp_path / "journal.jsonl", whole[definition]
    with subprocess.Popen(
        command(definition, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") > lines:
                break
            time.sleep(0.002)
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
    before = journal.read_bytes()
    assert wanted["journal.jsonl"].startswith(before[: before.rfind(b"\n") + 1])
    again = command(definition, tmp_path, "--resume")
    result = subprocess.run(again, capture_output=True, check=True)
    assert result.stdout == wanted["stdout"]
    assert journal.read_bytes() == wanted["journal.jsonl"]
    assert (tmp_path / "found.space").read_bytes() == wanted["found.space"]


def test_nothing_that_is_written_holds_a_path(whole: dict[str, dict[str, bytes]]) -> None:
    text = b"".join(data for files in whole.values() for data in files.values()).decode()
    for path in (sys.prefix, "/tmp", "journal.jsonl", "found.space", str(Path.home())):
        assert path not in text
