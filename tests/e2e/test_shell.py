"""How commands behave in a shell: closed pipes, Ctrl-C, files that cannot be written."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT

SPACEDSL = (sys.executable, "-m", "spacedsl")
EVOLVE = (
    "evolve",
    "--hyper",
    "onnxw",
    "--target",
    "vnni",
    "--definition",
    "qt",
    "--samples",
    "500",
)


def started(*words: str, **more: object) -> subprocess.Popen[str]:
    """Start a command that reacts to Ctrl-C. A shell makes what it runs in the background ignore
    it, and these tests may run so."""

    def hear() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [*SPACEDSL, *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,  # noqa: PLW1509  no other thread runs then
        **more,
    )


@pytest.mark.parametrize(
    "words",
    [
        *(("sample", "tiny-a", "-n", count, "--format", "json") for count in ("1", "300")),
        ("--help",),
    ],
)
def test_a_closed_pipe_ends_quietly(words: tuple[str, ...]) -> None:
    """Whether the output is more than a pipe holds, or still held when the command ends."""
    reader, writer = os.pipe()
    os.close(reader)
    process = started(*words, stdout=writer)
    os.close(writer)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help >/dev/full", 2, "error[io]: No space left on device"),
        ("show nope --format json >/dev/full", 2, "error[cannot-read]"),
        ("check tiny --format sarif >/dev/full", 2, "error[io]: No space left on device"),
        ("show tiny-a >&-", 0, ""),
        ("check - <&-", 2, "error[no-language]"),
    ],
)
def test_output_that_cannot_be_written(words: str, code: int, said: str) -> None:
    command = f"{shlex.join(SPACEDSL)} {words}"
    found = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == code
    assert said in found.stderr if said else not found.stderr
    assert "Traceback" not in found.stderr


def interrupted(process: subprocess.Popen[str], ready: Path) -> str:
    """What is said after Ctrl-C, which comes when `ready` has grown."""
    end = time.monotonic() + 120
    while not (ready.exists() and ready.stat().st_size > 2000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said.splitlines()[-1]


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    journal = tmp_path / "e.journal"
    words = (*EVOLVE, "--journal", str(journal), "--out", str(tmp_path / "found.space"))
    said = interrupted(started(*words, stdout=subprocess.DEVNULL), journal)
    assert said == (
        "interrupted; the same command with --resume goes on from the last state that was written"
    )
    again = (*words, "--cycles", "20", "--population", "5", "--sample", "2")
    refused = subprocess.run([*SPACEDSL, *again], cwd=ROOT, capture_output=True, check=False)
    assert refused.returncode == 2, "the journal is that of the interrupted search"


@pytest.mark.parametrize("name", ["typer", "pydantic"])
def test_ctrl_c_before_a_command_begins_is_no_traceback(name: str, tmp_path: Path) -> None:
    """It comes while what a command needs is imported: a package that sends it stands before the
    real one."""
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    (tmp_path / f"{name}.py").write_text(code)
    process = started("show", "tiny-a0", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


NOT_WRITABLE = {
    "evolve": (*EVOLVE, "--out", "{}/no/found.space"),
    "evolve journal": (*EVOLVE, "--journal", "{}/no/e.journal"),
    "evolve folder": (*EVOLVE, "--out", "{}"),
    "optimum": ("optimum", "--hyper", "onnxw", "--target", "vnni", "--out", "{}/no/o.space"),
    "tables fit": ("tables", "fit", "{}", "--hyper", "onnxw", "--out", "{}/no/t.json"),
    "export": ("export", "seqnet-vnni-a0", "--out", "{}/no/a.onnx"),
    "compile": ("compile", "tiny", "--out", "{}/file/plans"),
    "sample": ("sample", "vnni", "-n", "100000", "--out", "{}/file/models"),
    "train": ("train", "tiny-a", "--data", "digits", "--out", "{}/file/run"),
    "distill": (
        *("distill", "--hyper", "tiny", "--data", "digits", "--teacher", "checkpoint:none"),
        *("--out", "{}/file/run"),
    ),
    "search": ("search", "{}", "--target", "vnni", "--out", "{}/file/models"),
    "proc": (*EVOLVE, "--out", "/proc/found.space"),
}


@pytest.mark.parametrize("name", NOT_WRITABLE)
def test_what_cannot_be_written_is_said_before_the_work(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = [word.format(tmp_path) for word in NOT_WRITABLE[name]]
    done = subprocess.run(
        [*SPACEDSL, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error[cannot-write]: cannot write "), done.stderr
    assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    page = os.fsencode(tmp_path) + b"/no\xfftext.space"
    Path(os.fsdecode(page)).write_text("language 1\n")
    for format in (b"text", b"json"):
        command = [*map(os.fsencode, SPACEDSL), b"check", page, b"--format", format]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert b"internal" not in done.stdout + done.stderr
        assert b"udcff" in done.stdout + done.stderr
