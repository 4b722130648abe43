"""Android devices by LiteRT's benchmark program, with a stand-in for `adb` that runs commands on
this machine: what is asked of the program, what is read of its answer, and how a device is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.shown import blocks, words_of
from tests.support import ROOT

ADB = """#!/bin/sh
folder={folder}
shift 2
case "$1" in
push) {push} ;;
shell)
  shift
  case "$1" in
  uname) echo aarch64 ;;
  nproc) echo 8 ;;
  getprop) echo "Pixel 4" ;;
  cat) printf 'processor : 0\\nFeatures : fp asimd asimddp\\n' ;;
  sha256sum) {sum} ;;
  rm) shift 2; for file in "$@"; do rm -f "$folder/$(basename "$file")"; done ;;
  */benchmark_model)
    echo "$@" >> "$folder/asked"
    {program} ;;
  esac ;;
esac
"""
TIMES = """
    echo 'INFO: count=4 first=9000 curr=2100 min=2100 max=9000 avg=3900 std=2800'
    echo 'INFO: count=7 first=2200 curr=2020 min=2000 max=2300 avg=2100 std=80'"""
SUM = 'echo "0123456789abcdef  $2"'
PUSH = 'cp "$2" "$folder/$(basename "$3")"'


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stand_in(tmp_path)
    return tmp_path


def stand_in(folder: Path, program: str = TIMES, sum: str = SUM, push: str = PUSH) -> None:
    """Put the `adb` into `folder`/bin."""
    script = folder / "bin" / "adb"
    script.parent.mkdir(exist_ok=True)
    script.write_text(ADB.format(folder=folder, program=program, sum=sum, push=push))
    script.chmod(0o755)


BENCH = ("bench", "tiny-a0", "--runtime", "litert", "--seconds", "0.2", "--on", "adb:A1")


def test_a_model_is_timed_by_the_program(phone: Path) -> None:
    result = run(*BENCH, "--format", "json")
    assert result.exit_code == 0, result.output
    assert "ONNX" not in run(*BENCH).stdout
    found = json.loads(result.stdout)
    assert found["subjects"][0]["latency_ms"]["median"] == 2.0
    assert found["cpu"] == "Pixel 4"
    asked = (phone / "asked").read_text().splitlines()[-1]
    for word in ("--num_threads=1", "--num_runs=7", "--warmup_runs=3", "--use_xnnpack=true"):
        assert word in asked
    assert not list(phone.glob("*.tflite")), "models are removed from the device"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"program": "exit 1"}, "lost-device", "ended with 1"),
        ({"program": "echo no times"}, "bad-reply", "benchmark_model"),
        ({"sum": "echo none"}, "missing-extra", "has no program"),
        ({"push": "echo No space left on device; exit 1"}, "device-full", "disk is full"),
    ],
)
def test_what_fails_there_is_named(
    phone: Path, changes: dict[str, str], code: str, words: str
) -> None:
    stand_in(phone, **changes)
    result = run(*BENCH)
    assert result.exit_code == 2
    assert f"error[{code}]" in result.stderr
    assert words in result.stderr


def test_networks_are_timed_by_the_documented_script(
    phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one network instead of 200. Its row is one that a table is fitted to."""
    monkeypatch.chdir(phone)
    text = (ROOT / "docs" / "howto" / "android.md").read_text(encoding="utf-8")
    listings = {name: body for _, name, body in blocks(text) if name}
    Path("small.space").write_text(listings["small.space"])
    script = listings["time.sh"]
    for said, here in (("-n 200", "-n 1"), ("adb:SERIAL --seconds 5", "adb:A1 --seconds 0.2")):
        assert said in script
        script = script.replace(said, here)
    commands = "".join(
        f'{name}() {{ "{sys.executable}" {more} "$@"; }}\n'
        for name, more in (("spacedsl", "-m spacedsl"), ("python3", ""))
    )
    subprocess.run(["bash", "-e", "-c", commands + script], check=True, capture_output=True)
    assert Path("measured.csv").read_text() == "page,phone_ms\nnetworks/small-s1-0.space,2.0\n"
    words = words_of("howto/android.md", "spacedsl tables fit", {})
    fitted = run(*words[1:])
    assert "too many for 1 different network" in fitted.stderr
    (enough,) = re.findall(r"(\d+) networks would do", fitted.stderr)
    assert int(enough) <= 200


def test_other_runtimes_and_profiles_are_refused(phone: Path) -> None:
    result = run("bench", "tiny-a0", "--on", "adb:A1")
    assert (result.exit_code, "LiteRT's files" in result.stderr) == (2, True)
    page = phone / "phone.space"
    page.write_text(
        'language 1\n\ntarget phone {\n  device "a phone, LiteRT"\n  latency profile\n'
        "  limits 8ms\n  anchor tiny-a0 8ms\n}\n"
    )
    words = ("target", "profile", str(page), "--space", "tiny", "--budget", "1s")
    result = run(*words, "--on", "adb:A1")
    assert (result.exit_code, "times whole networks" in result.stderr) == (2, True)
    assert "spacedsl tables fit --latencies" in result.stderr
    assert "profiling" not in result.stderr, "refused before anything is built"
    assert not list((phone / "cache").rglob("*.profile"))
