"""What a user sees of profiling: it goes on until the space is covered, says what it does wherever
its output goes, and says why it gives up or why its figures are not to be trusted."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.diagnostics import SpaceError
from spacedsl.hosts import measure
from spacedsl.hosts.host import ThisMachine
from spacedsl.hosts.measure import Run
from spacedsl.ir.identity import space_identity
from spacedsl.runtimes.quiet import quiet_library
from spacedsl.runtimes.record import Runtime
from spacedsl.targets import device, profiler
from spacedsl.targets.profile_cache import header_of, outdated_profile, profile_path
from spacedsl.targets.profile_file import read_profile
from spacedsl.targets.verify import verify
from tests.cli.test_commands import run
from tests.targets.test_profile import PAGE, TINY

LITERT = PAGE.replace('"onnxruntime"', '"litert"').replace("ONNX Runtime", "LiteRT")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with targets' pages and an empty cache."""
    (tmp_path / "here.space").write_text(PAGE)
    (tmp_path / "phone.space").write_text(LITERT.replace("target here", "target phone"))
    (tmp_path / "many.space").write_text(HYPER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def page(folder: Path) -> str:
    return str(folder / "here.space")


HYPER = """language 1
use "std/blocks.space"

hyperspace many {
  input 3 x 160
  quality "onnxw"
  blocks {
    mbv2 { kernel 3, 5  expand 4, 6, 8 }
    fused { kernel 3, 5, 7  expand 1..4 }
  }
  stem { conv 3x3 relu strided  width 16  stride 2 }
  elastic stage1 { width 32..64 step 16  window 2  depth 2  stride 2 }
  elastic stage2 { width 32..64 step 16  window 2  depth 2  stride 2 }
  head { conv 1x1 -> 128 hswish  pool  linear -> 10 }
}
"""


def evolve(folder: Path) -> list[str]:
    """The README's first command, with less to search."""
    quick = ("--cycles", "8", "--population", "4", "--sample", "2", "--limits", "1,50")
    out = str(folder / "found.space")
    return [
        "evolve",
        "--hyper",
        str(folder / "many.space"),
        "--target",
        page(folder),
        "--out",
        out,
        *quick,
    ]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches in few rounds, and a time set aside that is over after the first."""
    monkeypatch.setattr(profiler, "BATCH", 1)
    monkeypatch.setattr(profiler, "LEAST", 1)
    monkeypatch.setattr(profiler, "ROUNDS", 2)
    monkeypatch.setattr(profiler, "MOST_ROUNDS", 2)
    monkeypatch.setattr(device, "ONE_SPACE_S", 0.1)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other work on this machine: processes that only compute."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"])
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("others", [0, 3], ids=["idle", "busy"])
def test_a_search_works_from_an_empty_cache(folder: Path, others: int) -> None:
    """What is not covered when the time is over is measured all the same."""
    with busy(others):
        result = run(*evolve(folder))
    assert result.exit_code == 0, result.output
    assert (folder / "found.space").exists()
    found = read_profile(profile_path(header_of(api.load_target(page(folder)))))
    assert found.covers(space_identity(api.load_space(str(folder / "many.space"))))
    assert len(found.batches) > 1
    assert not found.batches[0].covered


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_a_busy_machine_measures_no_single_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Covered or not, some tens of networks are measured as long as there is time."""
    monkeypatch.setattr(profiler, "LEAST", 12)
    target = api.load_target(page(folder))
    path = profiler.profile(target, [api.load_space(TINY)], 0.1, most_s=60)
    assert len(read_profile(path).batches) == 12


def test_a_short_budget_measures_little(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One network in the fewest rounds, where no time is left for more."""
    monkeypatch.setattr(profiler, "ROUNDS", 2)
    target = api.load_target(page(folder))
    path = profiler.profile(target, [api.load_space(TINY)], 0.01)
    (batch,) = read_profile(path).batches
    assert len(batch.nets) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_it_says_what_to_run_before_it_gives_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "MOST_S", 0.2)
    for _ in range(2):
        result = run(*evolve(folder))
        assert result.exit_code == 2
        assert "error[uncovered]" in result.stderr
        assert 'run "spacedsl target profile here --budget 1m"' in result.stderr
        found = read_profile(profile_path(header_of(api.load_target(page(folder)))))
        assert len(found.batches) == 1, "what was measured is kept, and no more is"
    assert profiler.longer(device.WHOLE_S) == "10m"
    more = (
        "target",
        "profile",
        page(folder),
        "--space",
        str(folder / "many.space"),
        "--budget",
        "6s",
    )
    assert run(*more).exit_code == 0
    assert run(*evolve(folder)).exit_code == 0


@pytest.mark.slow
def test_a_pipe_is_told_what_goes_on(folder: Path) -> None:
    words = ["spacedsl", *evolve(folder), "--format", "json"]
    script = (
        "import sys; from spacedsl.cli import progress; "
        "from spacedsl.targets import device, profiler; "
        "progress.LINE_S = 0.0; device.ONE_SPACE_S = 0.1; profiler.LEAST = 1; "
        f"sys.argv = {words!r}; from spacedsl.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["limits"][0]["latency_ms"] > 0
    first, *rest = done.stderr.splitlines()
    assert first.startswith("profiling here: kernels of this machine")
    assert re.search(r"about [\d.]+ seconds", first)
    assert any(re.match(r"profiling here: \d+%, \d+ networks", line) for line in rest)


def test_the_bar_is_whole_whatever_litert_says(folder: Path) -> None:
    """On a terminal: no line of LiteRT's own between the bar's."""
    words = ("target", "profile", str(folder / "phone.space"), "--space", TINY, "--budget", "1s")
    shown, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "spacedsl", *words],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm"},
    ) as running:
        os.close(terminal)
        seen: list[bytes] = []

        def read() -> None:
            try:
                while data := os.read(shown, 4096):
                    seen.append(data)
            except OSError:  # the other end is closed
                return

        reader = threading.Thread(target=read)
        reader.start()
        assert running.wait(300) == 0
        reader.join()
    text = b"".join(seen).decode()
    assert "profiling phone" in text
    assert re.search(r"100%\s+\d+ networks", text)
    for word in ("INFO", "WARNING", "XNNPACK", "registry"):
        assert word not in text


def test_a_library_that_fails_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_library():
        os.write(2, b"chatter\n")
    assert "chatter" not in capfd.readouterr().err
    with pytest.raises(OSError, match="nothing of the kind"):
        _fail()
    assert "the reason" in capfd.readouterr().err


def _fail() -> None:
    with quiet_library():
        os.write(2, b"the reason\n")
        raise OSError("nothing of the kind")


@pytest.mark.usefixtures("short")
def test_a_profile_of_an_earlier_version_is_named_and_measured_again(folder: Path) -> None:
    header = header_of(api.load_target(page(folder)))
    assert outdated_profile(header) is None
    now = profile_path(header)
    assert "of an earlier version" not in profiled(folder)
    [taken] = now.parent.glob("*.profile")
    before = old_path(header)
    taken.rename(before)
    assert outdated_profile(header) == before
    text = profiled(folder)
    assert f"{before} is of an earlier version" in text
    assert now.exists()
    assert "of an earlier version" not in profiled(folder), "it is said once"
    now.write_bytes(now.read_bytes().replace(b'"format":2', b'"format":1', 1))
    result = run("target", "show", page(folder))
    assert result.exit_code == 2
    assert re.search(r"error\[bad-profile\].*\.profile:1", result.stderr)
    assert "--again" in result.stderr


def old_path(header: object) -> Path:
    from spacedsl.ir.identity import digest
    from spacedsl.targets.profile_file import ProfileHeader

    assert isinstance(header, ProfileHeader)
    known = [header.machine, header.runtime, header.threads, header.rules]
    return profile_path(header).with_name(f"here-{digest(known)[:12]}.profile")


def profiled(folder: Path) -> str:
    result = run("target", "profile", page(folder), "--space", TINY, "--budget", "0.1s")
    assert result.exit_code == 0, result.output
    return result.stderr


@pytest.mark.usefixtures("short")
def test_verify_says_why_it_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiled(folder)

    monkeypatch.setattr("spacedsl.targets.verify.REPEATABLE", 1e-9)  # nothing repeats so well
    words = ("target", "verify", page(folder), "--space", TINY, "--count", "7", "--seconds", "1")
    result = run(*words)
    assert result.exit_code == 1
    assert re.search(r"[1-7] of 7 networks did not repeat within 0% in \d+ rounds", result.stderr)
    assert "so the exit code is 1" in result.stderr
    assert "--seconds" in result.stderr
    found = json.loads(run(*words, "--format", "json").stdout)
    assert [d["code"] for d in found["diagnostics"]] == ["too-noisy"]


@pytest.mark.usefixtures("short")
def test_verify_measures_several_sessions_of_every_network(folder: Path) -> None:
    profiled(folder)
    target = api.load_target(page(folder))
    models = api.sample(api.load_space(TINY), 3, seed=1)
    opened: list[int] = []
    original = ThisMachine.open

    def counted(self: ThisMachine, runtime: Runtime, model: bytes, threads: int) -> Run:
        opened.append(1)
        return original(self, runtime, model, threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThisMachine, "open", counted)
        found = verify(target, device.open_device(target).latency, models, 1.0, "cpu")
    assert len(opened) == 3 * -(-found.rounds // measure.SESSION_ROUNDS)
    with pytest.raises(SpaceError, match="too few"):
        verify(target, device.open_device(target).latency, models[:2], 1.0, "cpu")
