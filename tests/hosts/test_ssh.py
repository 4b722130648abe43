"""Devices over ssh, by a real sshd on the loopback address: profiled, verified, and lost in every
way that a device can be lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spacedsl.hosts.bundle import MODULES, ROOT
from spacedsl.runtimes import table
from spacedsl.runtimes.table import GROUP, OPENVINO
from spacedsl.targets.profile_file import read_profile
from tests.cli.test_commands import run
from tests.hosts.loopback import MISSING, NEEDED, Loopback, start
from tests.shown import words_of
from tests.support import SPACES
from tests.test_house import STDLIB, imports

TINY = str(SPACES / "tiny.space")
PAGE = """language 1

target board {
  device "the board on the desk, ONNX Runtime, INT8, one thread"
  runtime "onnxruntime"
  latency profile
  limits 8ms, 16ms
  anchor tiny-a0 8ms
}
"""

needs_ssh = pytest.mark.skipif(
    bool(MISSING) and not NEEDED, reason=f"not installed: {', '.join(MISSING)} (openssh-server)"
)


def test_what_is_sent_needs_only_numpy_and_a_runtime() -> None:
    runtimes = {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime", "openvino"}
    for module in MODULES:
        for name in imports(ROOT / f"{module}.py"):
            root = name.partition(".")[0]
            if root == "spacedsl":
                typed = "spacedsl.runtimes.record"  # for type checkers only
                path = name.removeprefix("spacedsl.").replace(".", "/")
                assert path in (*MODULES, "runtimes", "hosts") or name == typed, (module, name)
            else:
                assert root in STDLIB or root in runtimes, (module, name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    made, process = start(tmp_path_factory.mktemp("loopback"))
    yield made
    process.terminate()
    process.wait()


@pytest.fixture
def board(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The server, with an empty cache, small batches and the Python that has what is needed."""
    server.python()
    (tmp_path / "board.space").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", server.path)
    return server


MINE = replace(
    OPENVINO,
    title="Mine",
    module="mine.sessions",
    rules=OPENVINO.rules.model_copy(update={"runtime": "mine"}),
)
SMALL = """
import sys
from spacedsl.targets import profiler
profiler.BATCH, profiler.ROUNDS, profiler.MOST_ROUNDS = 3, 2, 2
from spacedsl.cli.app import main
sys.exit(main())
"""


def command(board: Loopback, *words: str) -> list[str]:
    """A command in a process of its own, with small batches."""
    return [sys.executable, "-c", SMALL, *words, "--on", board.where]


PROFILE = ("target", "profile", "board.space", "--space", TINY)


def ran(board: Loopback, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(board, *words), capture_output=True, text=True, check=False, timeout=200
    )


def found_json(board: Loopback, *words: str) -> dict[str, Any]:
    done = ran(board, *words, "--format", "json")
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))


def journal() -> Path:
    (found,) = Path("cache").rglob("*.profile")
    return found


def documented(start: str, changes: dict[str, str]) -> list[str]:
    """A command of the how-to without its `--on`."""
    named = {"pi.space": "board.space", "--on": "", "$PI": ""}
    return words_of("howto/raspberry-pi.md", f"spacedsl {start}", named | changes)[1:]


@needs_ssh
def test_a_board_is_profiled_and_verified(board: Loopback) -> None:
    profile = (*documented("target profile", {"10m": "1s"}), "--space", TINY)
    shown = found_json(board, *profile)
    assert shown["networks"] >= 3
    assert shown["runtime_version"]
    assert shown["machine"]["cpu"]
    header = read_profile(journal()).header
    assert header.version == shown["runtime_version"]
    before = journal().read_bytes()
    assert found_json(board, *profile)["networks"] == shown["networks"]
    assert journal().read_bytes() == before, "what was measured is not measured again"
    options = ("--space", TINY, "--count", "3", "--seconds", "1")
    assert found_json(board, *documented("target verify", {}), *options)["networks"] == 3
    assert ran(board, *documented("target export", {})).returncode == 0
    carried = run("show", "tiny-a0", "--target", "carried.space", "--format", "json")
    assert json.loads(carried.stdout)["latency"]["total_ms"] > 0


@needs_ssh
@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_a_model_is_timed_there(board: Loopback, runtime: str) -> None:
    options = ("--runtime", runtime, "--seconds", "0.5", "--allow-noise")
    words = words_of("howto/raspberry-pi.md", "spacedsl bench", {"net.onnx": "tiny-a0"})
    assert words[-2:] == ["--on", "$PI"]
    found = found_json(board, *words[1:-2], "--against", "fp32", *options)
    assert [s["name"] for s in found["subjects"]] == ["tiny-a0", "fp32"]
    assert found["on"] == board.where
    missing = ran(board, "bench", "tiny-a0", "--runtime", "openvino")
    assert missing.returncode == 2
    assert "has no OpenVINO" in missing.stderr


@needs_ssh
def test_a_packages_runtime_stays_here(board: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent there is spacedsl's own: a package's module would run on another machine."""
    Path("mine.space").write_text(PAGE.replace('"onnxruntime"', '"mine"'))
    made = EntryPoint("mine", "tests.hosts.test_ssh:MINE", GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **asked: [made])
    table._registered.cache_clear()
    try:
        for words in (
            ("bench", "tiny-a0", "--runtime", "mine"),
            ("target", "profile", "mine.space", "--space", TINY),
            ("target", "verify", "mine.space"),
            ("analyze", "--target", "mine.space"),
        ):
            result = run(*words, "--on", board.where)
            assert result.exit_code == 2, words
            assert "error[bad-option]: Mine is an installed package's, and runs on this" in (
                result.stderr
            )
    finally:
        table._registered.cache_clear()


@needs_ssh
def test_what_a_board_likes(board: Loopback) -> None:
    found = found_json(
        board, "analyze", "--target", "board.space", "--part", "channels", "--budget", "1s"
    )
    assert found["parts"]["channels"]


def lost(board: Loopback, kill: str) -> str:
    """What is said where a profile loses its `runner` or `connection` after the first batch."""
    with subprocess.Popen(
        command(board, *PROFILE, "--budget", "1h"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if list(Path("cache").rglob("*.profile")) and journal().read_bytes().count(b"\n") > 1:
                break
            time.sleep(0.05)
        os.kill(getattr(board, kill), signal.SIGKILL)
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 2, said
    return said


@needs_ssh
@pytest.mark.parametrize("kill", ["runner", "connection"])
def test_a_lost_board_is_named_and_nothing_measured_is_lost(board: Loopback, kill: str) -> None:
    said = lost(board, kill)
    assert "error[lost-device]" in said
    assert "the same command goes on where it was" in said
    before = read_profile(journal())
    assert before.batches
    again = found_json(board, *PROFILE, "--budget", "1s")
    assert again["networks"] >= sum(len(batch.nets) for batch in before.batches)
    assert read_profile(journal()).batches[: len(before.batches)] == before.batches


@needs_ssh
@pytest.mark.parametrize(
    ("blocks", "code"), [(1, "device-full"), (120, "bad-profile")], ids=["at once", "profiling"]
)
def test_a_full_disk_there_is_named(board: Loopback, blocks: int, code: str) -> None:
    board.python(before=f"ulimit -f {blocks}")
    done = ran(board, *PROFILE, "--budget", "1s")
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert "disk" in done.stderr


@needs_ssh
def test_wrong_versions_are_named(board: Loopback) -> None:
    Path("board.space").write_text(PAGE.replace('"onnxruntime"', '"onnxruntime" "0.9"'))
    done = ran(board, *PROFILE, "--budget", "1s")
    assert (done.returncode, "error[wrong-version]" in done.stderr) == (2, True), done.stderr
    board.python(code="import sys; sys.version_info = (3, 9); sys.version = '3.9.2'\n")
    done = ran(board, *PROFILE, "--budget", "1s")
    assert "Python is 3.9.2 there, 3.11 is needed" in done.stderr
    package = board.folder / "packages" / "numpy"
    package.unlink()
    board.python()
    done = ran(board, *PROFILE, "--budget", "1s")
    assert "error[missing-extra]" in done.stderr
    package.symlink_to(np.__path__[0])


@needs_ssh
def test_what_is_no_runner_is_named(board: Loopback) -> None:
    script = board.folder / "python"
    script.write_text('#!/bin/sh\necho \'{"cores": "many"}\'\n')
    done = ran(board, "bench", "tiny-a0")
    assert (done.returncode, "error[bad-reply]" in done.stderr) == (2, True), done.stderr
    script.write_text("#!/bin/sh\nexit 7\n")
    done = ran(board, "bench", "tiny-a0")
    assert "error[no-device]" in done.stderr
    assert "exit code 7" in done.stderr


def test_a_device_elsewhere_is_not_this_machine(tmp_path: Path) -> None:
    page = tmp_path / "board.space"
    page.write_text(PAGE)
    for words in (
        ("target", "profile", str(page)),
        ("target", "show", str(page)),
        ("target", "verify", str(page)),
        ("target", "export", str(page), "--out", str(tmp_path / "a.space")),
        ("analyze", "--target", str(page)),
    ):
        result = run(*words)
        assert result.exit_code == 2, words
        assert "error[other-device]" in result.stderr
        assert "--on ssh://USER@HOST" in result.stderr


@pytest.mark.parametrize(
    "where", ["ssh://-oProxyCommand=x@h", "ssh://a@-h", "ssh://u:secret@h", "ftp://h", "adb:-s"]
)
def test_what_is_no_device_is_refused(where: str) -> None:
    result = run("bench", "tiny-a0", "--on", where)
    assert result.exit_code == 2
    assert "error[bad-option]" in result.stderr
