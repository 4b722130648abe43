"""Profiling for real: tiny networks, seconds, kills, damage, other machines, full disks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spacedsl import api
from spacedsl.diagnostics import SpaceError
from spacedsl.targets import device, profiler
from spacedsl.targets.latency import model_latency
from spacedsl.targets.profile_file import line_of, locked, read_profile
from spacedsl.targets.profiled_latency import fit_profile
from tests.cli.test_commands import run, run_json
from tests.support import SPACES, library_model

TINY = str(SPACES / "tiny.space")
PAGE = """language 1

target here {
  device "this machine's CPU, ONNX Runtime, INT8, one thread"
  runtime "onnxruntime"
  latency profile
  limits 8ms, 16ms
  anchor tiny-a0 8ms
}
"""

SMALL = """language 1
use "std/blocks.space"

hyperspace small {
  input 3 x 160
  quality "onnxw"
  blocks { mbv2 { kernel 3  expand 4 } }
  stem { conv 3x3 relu strided  width 16  stride 2 }
  elastic stage1 { width 32..64 step 16  window 2  depth 2  stride 2 }
  elastic stage2 { width 32..64 step 16  window 2  depth 2  stride 2 }
  head { conv 1x1 -> 128 hswish  pool  linear -> 10 }
}
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a target's page and a cache that holds its profile."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "here.space").write_text(PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        found = profile(folder, "1s")
    assert found["networks"] >= 10
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may spoil."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(device, "ONE_SPACE_S", 1.0)
    monkeypatch.setattr(profiler, "LEAST", 1)
    return tmp_path


def page(folder: Path) -> str:
    return str(folder / "here.space")


def profile(folder: Path, budget: str, *more: str) -> dict[str, Any]:
    options = ("--space", TINY, "--budget", budget, *more)
    return run_json("target", "profile", page(folder), *options)


def journal(folder: Path) -> Path:
    (found,) = (folder / "cache").rglob("*.profile")
    return found


@pytest.mark.slow
def test_a_profile_is_of_this_machine_and_serves_searches(folder: Path) -> None:
    found = run_json("target", "show", page(folder))
    assert found["runtime"] == "onnxruntime"
    assert found["resolutions"] == [24, 32]
    assert found["groups"]["conv 1x1"]["kernels"] > 20
    assert found["limits_ms"][1] == pytest.approx(2 * found["limits_ms"][0], rel=0.01)
    latency = run_json("show", "tiny-a0", "--target", page(folder))["latency"]
    assert latency["total_ms"] == pytest.approx(found["limits_ms"][0], rel=0.01)
    assert latency["coverage"]["measured"] + latency["coverage"]["interpolated"] > 0.9
    assert "conv 1x1" in run("target", "show", page(folder)).stdout


def test_what_was_measured_is_not_measured_again(folder: Path) -> None:
    before = journal(folder).read_bytes()
    assert profile(folder, "1s")["networks"] == len(read_profile(journal(folder)).batches) * 10
    assert journal(folder).read_bytes() == before


def test_blocks_without_latency_are_listed_never_zero(folder: Path) -> None:
    latency = fit_profile(journal(folder))
    with pytest.raises(SpaceError, match=r"blocks of attentivenas-a0 are not covered: .*->"):
        model_latency(library_model("baselines/attentivenas-a0"), latency)


def test_networks_are_verified(folder: Path) -> None:
    options = ("--space", TINY, "--count", "5", "--seconds", "1")
    result = run("target", "verify", page(folder), *options, "--format", "json")
    assert result.exit_code in (0, 1), result.output
    found = json.loads(result.stdout)
    assert found["networks"] == len(found["models"]) == 5
    assert result.exit_code == (0 if found["repeatability"]["within_3_percent"] == 5 else 1)
    seen = {net.hash for batch in read_profile(journal(folder)).batches for net in batch.nets}
    assert seen
    for model in found["models"]:
        assert model["low_ms"] <= model["measured_ms"] <= model["high_ms"]
        assert model["coverage"] in ("measured", "interpolated", "estimated")
    text = run("target", "verify", page(folder), *options)
    assert "Kendall's tau" in text.stdout
    then = f"next: spacedsl evolve --hyper hyper --target {page(folder)} --out found.space"
    assert (then in text.stdout) == (text.exit_code == 0)


def test_an_exported_target_needs_no_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = run_json("show", "tiny-a0", "--target", page(folder))["latency"]
    (folder / "elsewhere").mkdir()
    out = folder / "elsewhere" / "phone.space"
    assert run("target", "export", page(folder), "--out", str(out)).exit_code == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "empty"))
    there = run_json("show", "tiny-a0", "--target", str(out))["latency"]
    assert there["parts"] == here["parts"]
    assert run("check", str(out)).exit_code == 0
    assert run("fmt", "--check", str(out)).exit_code == 0


@pytest.mark.slow
def test_a_search_profiles_a_machine_that_was_never_profiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's first command, small: no profile, then a bar, a search and a page."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(device, "ONE_SPACE_S", 1.0)
    monkeypatch.setattr(profiler, "LEAST", 1)
    (tmp_path / "here.space").write_text(PAGE)
    small = tmp_path / "small.space"
    small.write_text(SMALL)
    quick = ("--cycles", "8", "--population", "4", "--sample", "2", "--limits", "1,50")
    out = tmp_path / "found.space"
    search = ("evolve", "--hyper", str(small), "--target", page(tmp_path), "--out", str(out))
    result = run(*search, *quick)
    assert result.exit_code == 0, result.output
    assert "profiling here" in result.stderr
    assert "for here: this machine's CPU" in out.read_text()
    again = run(*search, *quick)
    assert "profiling" not in again.stderr


def command(folder: Path, budget: str) -> list[str]:
    words = ("target", "profile", page(folder), "--space", TINY, "--budget", budget)
    return [sys.executable, "-m", "spacedsl", *words]


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(folder: Path) -> None:
    before = journal(folder).read_bytes()
    for _ in range(2):
        with subprocess.Popen(
            command(folder, "1h"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            deadline = time.monotonic() + 60
            while running.poll() is None and time.monotonic() < deadline:
                if journal(folder).stat().st_size > len(before):
                    break
                time.sleep(0.01)
            os.kill(running.pid, signal.SIGKILL)
        after = journal(folder).read_bytes()
        assert after.startswith(before)
        assert len(after) > len(before)
        before = after[: after.rfind(b"\n") + 1]
    assert profile(folder, "1s")["networks"] == 10 * (before.count(b"\n") - 1)


@pytest.mark.slow
def test_a_torn_line_is_cut_off_and_a_damaged_one_is_named(folder: Path) -> None:
    path = journal(folder)
    whole = path.read_bytes()
    path.write_bytes(whole + b'12345678 {"spaces": [')
    assert run("target", "show", page(folder)).exit_code == 0
    path.write_bytes(whole.replace(b'"steady":', b'"Steady":', 1))
    for words in (("show",), ("profile", "--space", TINY)):
        result = run("target", words[0], page(folder), *words[1:])
        assert result.exit_code == 2
        assert re.search(r"error\[bad-profile\].*\.profile:2: .*checksum", result.stderr)
        assert "--again" in result.stderr
    assert profile(folder, "1s", "--again")["networks"] >= 10
    assert run("target", "show", page(folder)).exit_code == 0


def changed(folder: Path, **fields: object) -> None:
    path = journal(folder)
    lines = path.read_bytes().split(b"\n")
    header = read_profile(path).header.model_copy(update=fields)
    path.write_bytes(b"\n".join([line_of(header).rstrip(b"\n"), *lines[1:]]))


def test_another_machines_profile_is_refused(folder: Path) -> None:
    changed(folder, machine={"cpu": "Z80", "architecture": "z80", "features": "none"})
    result = run("score", "tiny-a", "--target", page(folder))
    assert result.exit_code == 2
    assert "error[foreign-profile]" in result.stderr
    assert "Z80" in result.stderr
    assert "profile: foreign-profile" not in run("target", "list").stdout  # of `cpu`, not of this


@pytest.mark.slow
def test_another_versions_profile_is_refused_or_by_flag_taken_again(folder: Path) -> None:
    changed(folder, version="0.9")
    for words in (("show",), ("profile", "--space", TINY)):
        result = run("target", words[0], page(folder), *words[1:])
        assert result.exit_code == 2
        assert re.search(r"error\[wrong-version\].*onnxruntime 0.9", result.stderr)
    assert profile(folder, "1s", "--again")["runtime_version"] != "0.9"


def test_two_runs_do_not_spoil_each_other(folder: Path) -> None:
    with locked(journal(folder)):
        result = run("target", "profile", page(folder), "--space", TINY, "--budget", "1h")
    assert result.exit_code == 2
    assert "error[profile-busy]" in result.stderr


FULL = """
import resource, sys
from pathlib import Path
from spacedsl.diagnostics import SpaceError
from spacedsl.targets.profile_file import append, read_profile
path = Path(sys.argv[1])
found = read_profile(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (found.size + 100, found.size + 100))
try:
    append(path, found.size, found.batches[0])
except SpaceError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_a_full_disk_loses_nothing_that_was_measured(folder: Path) -> None:
    path = journal(folder)
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert "error[cannot-write]" in done.stdout
    assert "what was measured before is kept" in done.stdout
    assert path.read_bytes() == before


def test_budgets_and_targets_that_make_no_sense(folder: Path) -> None:
    for words, message in (
        (("profile", page(folder), "--budget", "soon"), "is no time to measure"),
        (("profile", "vnni"), "has latencies of its own"),
        (("export", "vnni", "--out", str(folder / "a.space")), "has latencies of its own"),
    ):
        result = run("target", *words)
        assert result.exit_code == 2, words
        assert message in result.stderr
    missing = run("score", "tiny-a", "--target", str(folder / "no.space"))
    assert missing.exit_code == 2


def test_the_librarys_target_lists(folder: Path) -> None:
    found = run_json("target", "list")
    names = {row["name"]: row["latency"] for row in found["targets"]}
    assert names["cpu"] == "profile: not measured yet"
    assert names["vnni"] == "table onnxw"
    assert api.load_target("cpu").anchor is not None
