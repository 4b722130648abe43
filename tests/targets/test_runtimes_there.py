"""`export` says which runtime is faster on the target's machine, by the profiles that are there:
ONNX Runtime's is measured, the others are written as if it had been faster or slower."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from spacedsl import api
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.identity import digest
from spacedsl.runtimes.table import BUILT_IN, need
from spacedsl.targets import profiler
from spacedsl.targets.profile_cache import profile_path
from spacedsl.targets.profile_file import NetRecord, append, read_profile
from spacedsl_runtime.checkpoint import save_checkpoint
from spacedsl_runtime.elastic.supernet import load_supernet
from tests.cli.test_commands import run, run_json
from tests.targets.test_profile import PAGE, TINY

BOARD = PAGE.replace("this machine's CPU", "a board").replace("target here", "target board")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with targets' pages and a cache that holds the profile of one."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "here.space").write_text(PAGE)
    (folder / "board.space").write_text(BOARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name, value in (("BATCH", 3), ("ROUNDS", 2), ("MOST_ROUNDS", 2), ("LEAST", 1)):
            patch.setattr(profiler, name, value)
        words = ("target", "profile", str(folder / "here.space"), "--space", TINY)
        assert run(*words, "--budget", "1s").exit_code == 0
        carried = ("target", "export", str(folder / "here.space"))
        assert run(*carried, "--out", str(folder / "carried.space")).exit_code == 0
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is also the working folder."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(folder: Path, name: str, times: float, **changes: Any) -> Path:
    """A runtime's profile, `times` as slow as the one that was measured here."""
    known = read_profile(next((folder / "cache").rglob("here-*.profile")))
    rules = digest(BUILT_IN[name].rules.model_dump(mode="json"))
    version = need(BUILT_IN[name])
    said = {"target": name, "runtime": name, "version": version, "rules": rules} | changes
    header = known.header.model_copy(update=said)
    path = profile_path(header)
    size = append(path, 0, header)
    for batch in known.batches:
        nets, references = (
            tuple(_slower(net, times) for net in part) for part in (batch.nets, batch.references)
        )
        size = append(path, size, batch.model_copy(update={"nets": nets, "references": references}))
    return path


def _slower(net: NetRecord, times: float) -> NetRecord:
    kernels = tuple(ms * times for ms in net.kernel_ms)
    return net.model_copy(update={"net_ms": net.net_ms * times, "kernel_ms": kernels})


def export(target: str = "here.space") -> dict[str, Any]:
    return run_json("export", "tiny-a0", "--target", target, "--out", "a.onnx")


@pytest.mark.parametrize("target", ["here.space", "carried.space"])
def test_a_faster_runtime_is_named_with_the_command_for_its_file(folder: Path, target: str) -> None:
    add(folder, "litert", 0.5)
    add(folder, "openvino", 0.8)
    found = export(target)
    assert (found["faster"], found["runtimes"][0]["runtime"]) == ("litert", "onnxruntime")
    own, *others = (runtime["latency_ms"] for runtime in found["runtimes"])
    assert [ms / own for ms in others] == pytest.approx([0.5, 0.8], rel=0.1)
    said = run("export", "tiny-a0", "--target", target, "--out", "a.onnx").stdout.splitlines()
    at = next(i for i, line in enumerate(said) if line.startswith("LiteRT is predicted to be"))
    assert "times as fast on that machine" in said[at]
    assert run(*shlex.split(said[at + 1])[1:]).exit_code == 0
    assert (folder / "a.tflite").stat().st_size > 1000


def test_nothing_is_said_of_a_slower_one_and_nothing_is_ever_measured(folder: Path) -> None:
    add(folder, "litert", 0.98)
    before = sorted((folder / "cache").rglob("*"))
    found = export()
    assert (found["faster"], len(found["runtimes"])) == (None, 2)
    shown = run("export", "tiny-a0", "--target", "here.space", "--out", "a.onnx").stdout
    assert "LiteRT" not in shown
    assert "next: spacedsl bench a.onnx" in shown
    assert sorted((folder / "cache").rglob("*")) == before


def test_what_cannot_be_used_is_left_out(folder: Path) -> None:
    add(folder, "litert", 0.5, version="0.1")
    damaged = add(folder, "openvino", 0.5)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    found = export()
    assert (found["faster"], len(found["runtimes"])) == (None, 1)
    assert found["next"] == "spacedsl target profile litert"
    said = run("export", "tiny-a0", "--target", "here.space", "--out", "a.onnx").stdout
    assert "whether litert is faster on that machine is not known" in said


def test_another_machine_is_never_taken_for_this_one(folder: Path) -> None:
    assert export("board.space")["runtimes"] == []
    board = {"cpu": "Cortex-A72", "architecture": "aarch64", "features": "neon"}
    add(folder, "litert", 0.5, machine=board, version="2.0")
    assert export()["faster"] is None
    add(folder, "onnxruntime", 1.0, target="board", machine=board)
    assert export("board.space")["faster"] == "litert"
    (folder / "alone.space").write_text(BOARD.replace("target board", "target alone"))
    assert export("alone.space")["runtimes"] == []


def test_without_a_target_or_in_fp32_nothing_is_said(folder: Path) -> None:
    add(folder, "litert", 0.5)
    assert run_json("export", "tiny-a0", "--out", "a.onnx")["runtimes"] == []
    words = ("export", "tiny-a0", "--fp32", "--target", "here.space", "--out", "a.onnx")
    assert run_json(*words)["faster"] is None


def test_a_carried_profile_needs_no_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes profiles there are no others to compare with."""
    add(folder, "litert", 0.5)
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    found = export("carried.space")
    assert (found["faster"], len(found["runtimes"])) == (None, 1)


def test_the_command_for_a_faster_runtime_names_the_same_weights(folder: Path) -> None:
    add(folder, "litert", 0.5)
    plan = supernet_plan(api.load_space("tiny-a"))
    save_checkpoint(folder / "net.safetensors", load_supernet(plan, 1, 10, 0))
    weights = ("--checkpoint", "net.safetensors", "--calibrate", "digits")
    words = ("export", "tiny-a0", "--target", "here.space", *weights, "--out", "a.onnx")
    said = run(*words).stdout
    assert f"export tiny-a0 --target litert {' '.join(weights)} --out a.tflite" in said
