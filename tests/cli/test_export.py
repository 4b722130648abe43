"""compile, export, bench, doctor: files, figures, messages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spacedsl.hosts.measure as measuring
from spacedsl.api import load_target
from spacedsl.compiler.integer_model import save_model
from spacedsl.compiler.plans import Int8Plan, NetworkPlan, load_plan
from spacedsl.compiler.retarget import restamped
from spacedsl.compiler.supernet_file import load_supernet_plan
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.hosts.measure import Timing, estimate, interleave
from spacedsl.runtimes.machine import SATURATES, UNKNOWN, machine_from
from spacedsl.runtimes.table import LITERT, ONNXRUNTIME
from tests.cli.test_commands import run, run_json
from tests.compiler.onnx_support import seeded_model
from tests.support import SPACES, library_model

TINY = str(SPACES / "models" / "tiny-a0.space")


def test_compile_writes_the_plans_of_a_model(tmp_path: Path) -> None:
    assert run("compile", TINY, "--out", str(tmp_path / "a")).exit_code == 0
    assert not (tmp_path / "a" / "tiny-a0.int8.json").exists()
    found = run_json("compile", TINY, "--target", "vnni", "--out", str(tmp_path / "b"))
    assert {"tiny-a0.int8.json", "tiny-a0.network.json"} <= {Path(p).name for p in found["plans"]}
    plan = load_plan(tmp_path / "b" / "tiny-a0.int8.json", Int8Plan)
    network = load_plan(tmp_path / "a" / "tiny-a0.network.json", NetworkPlan)
    assert (plan.target, plan.rules.runtime) == ("vnni", "onnxruntime")
    assert plan.network == network.graph


def test_compile_stamps_the_targets_8_bit_tensors_into_a_supernets_plan(tmp_path: Path) -> None:
    for name, more in (("a", ()), ("b", ("--target", "vnni"))):
        assert run("compile", "tiny-a", "--out", str(tmp_path / name), *more).exit_code == 0
    plain, stamped = (
        load_supernet_plan(tmp_path / name / "tiny-a.supernet.json") for name in ("a", "b")
    )
    assert plain.rules is None
    assert stamped.rules is not None
    assert (stamped.rules.target, stamped.rules.runtime) == ("vnni", "onnxruntime")
    assert dict(stamped.rules.acts).items() <= dict(ONNXRUNTIME.rules.acts).items()
    assert plain == replace(stamped, rules=None)


def test_compile_stamps_them_into_the_plans_of_a_hyperspace(tmp_path: Path) -> None:
    found = run_json("compile", "tiny", "--target", "vnni", "--out", str(tmp_path))["plans"]
    plans = [load_supernet_plan(Path(path)) for path in found]
    assert {(p.kind, p.rules.target) for p in plans if p.rules} == {("bkd", "vnni")}
    assert all(p.rules for p in plans)


def test_export_writes_a_file_that_runs(tmp_path: Path) -> None:
    from spacedsl.runtimes.onnxruntime import random_feed
    from tests.compiler.onnx_support import open_session

    for name, more in (("i.onnx", ()), ("f.onnx", ("--fp32",)), ("t.onnx", ("--target", "vnni"))):
        out = tmp_path / name
        result = run("export", TINY, "--format", "onnx", "--out", str(out), *more)
        assert result.exit_code == 0, result.stderr
        session = open_session(out)
        (logits,) = session.run(None, random_feed(session))
        assert logits.shape == (1, 10)


def test_export_writes_a_tflite_file_that_runs(tmp_path: Path) -> None:
    from spacedsl.runtimes.litert import Session

    options = ((), ("--fp32",), ("--target", "pixel4"))
    for name, more in zip(("i.tflite", "f.tflite", "t.tflite"), options, strict=True):
        out = tmp_path / name
        result = run("export", TINY, "--format", "tflite", "--out", str(out), *more)
        assert result.exit_code == 0, result.stderr
        session = Session(out)
        assert session.run(session.random_input())["logits"].shape == (1, 10)


def test_one_trained_integer_model_serves_both_formats(tmp_path: Path) -> None:
    weights, out = tmp_path / "w.npz", tmp_path / "a.tflite"
    _, model = seeded_model(library_model("models/tiny-a0"), seed=0)
    save_model(model, weights)
    options = ("--weights", str(weights), "--format", "tflite", "--out", str(out))
    for more in ((), ("--target", "pixel4")):
        assert run("export", TINY, *options, *more).exit_code == 0
        wanted = restamped(model, LITERT.rules, load_target("pixel4") if more else None)
        assert wanted is not None
        assert out.read_bytes() == emit_int8(wanted)
    out.unlink()
    result = run("export", TINY, *options, "--target", "vnni")
    assert result.exit_code == 2
    assert "runs onnxruntime" in result.stderr
    assert not out.exists()


def test_a_trained_integer_model_is_exported_as_it_is(tmp_path: Path) -> None:
    weights, out, same = tmp_path / "w.npz", tmp_path / "a.onnx", tmp_path / "b.onnx"
    _, model = seeded_model(library_model("models/tiny-a0"), seed=0)
    save_model(model, weights)
    options = ("--weights", str(weights), "--out")
    assert run("export", TINY, *options, str(out)).exit_code == 0
    assert run("export", TINY, "--out", str(same)).exit_code == 0
    assert out.read_bytes() == same.read_bytes()
    assert run("export", TINY, "--target", "vnni", *options, str(out)).exit_code == 0
    assert run("export", TINY, "--target", "vnni", "--out", str(same)).exit_code == 0
    assert out.read_bytes() == same.read_bytes()
    for more, message in (
        (("seqnet-vnni-a0",), "holds the weights of tiny-a0"),
        ((TINY, "--fp32"), "holds integers"),
        ((TINY, "--target", "pixel4"), "pixel4"),
    ):
        result = run("export", *more, *options, str(tmp_path / "c.onnx"))
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "c.onnx").exists()


def test_export_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from spacedsl.cli.app import app\n"
        f"try: app(['export', {TINY!r}, '--out', {str(tmp_path / 'a.onnx')!r}])\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "assert not {'torch', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "a.onnx").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("export", "vnni"), "vnni is not a model"),
        (("export", TINY, "--target", "pixel4"), "target `pixel4` runs litert"),
        (("export", TINY, "--target", "toaster"), "unknown target `toaster`"),
        (("export", TINY, "--format", "tflite", "--target", "vnni"), "target `vnni` runs onnx"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_written(
    args: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = run(*args, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_export_into_no_folder_is_one_error(tmp_path: Path) -> None:
    result = run("export", TINY, "--out", str(tmp_path / "no" / "a.onnx"))
    assert result.exit_code == 2
    assert "error[cannot-write]" in result.stderr


@pytest.mark.parametrize(("format", "runtime"), [("onnx", "onnxruntime"), ("tflite", "litert")])
def test_without_the_extra_the_way_to_it_is_said(
    format: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"a.{format}"
    export = ("export", TINY, "--format", format, "--out", str(file))
    assert run(*export).exit_code == 0
    data = file.read_bytes()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for command in (export, ("bench", str(file)), ("bench", TINY, "--runtime", runtime)):
        result = run(*command)
        assert result.exit_code == 2
        assert f"pip install 'spacedsl[{format}]'" in result.stderr
    assert file.read_bytes() == data


def test_bench_compares_with_fp32_and_reads_files(tmp_path: Path) -> None:
    options = ("--seconds", "0.5", "--allow-noise")
    found = run_json("bench", TINY, "--against", "fp32", *options)
    assert [s["name"] for s in found["subjects"]] == [TINY, "fp32"]
    assert found["speedup"]["low"] <= found["speedup"]["median"] <= found["speedup"]["high"]
    assert found["rounds"] >= measuring.LEAST_ROUNDS
    out = tmp_path / "a.onnx"
    assert run("export", TINY, "--out", str(out)).exit_code == 0
    assert run_json("bench", str(out), *options)["speedup"] is None
    assert run("bench", str(out), "--against", "fp32", *options).exit_code == 0
    assert run("bench", str(out), "--against", str(out), *options).exit_code == 0


def test_bench_says_that_it_measures_and_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets a line at once, and others as time passes."""
    monkeypatch.setattr("spacedsl.cli.progress.FIRST_SECONDS", 0.01)
    monkeypatch.setattr("spacedsl.cli.progress.LOG_SECONDS", 0.01)
    result = run("bench", TINY, "--seconds", "600", "--allow-noise", "--format", "json")
    assert result.exit_code == 0
    first, *rest = result.stderr.splitlines()
    assert first == f"measuring {TINY}: at most about 10 minutes"
    rounds = [int(found[1]) for line in rest if (found := re.search(r"(\d+) rounds", line))]
    assert len(set(rounds)) >= 5
    assert rounds == sorted(rounds)


def test_bench_runs_tflite_files_on_litert(tmp_path: Path) -> None:
    options = ("--seconds", "0.5", "--allow-noise")
    out = tmp_path / "a.tflite"
    assert run("export", TINY, "--format", "tflite", "--out", str(out)).exit_code == 0
    found = run_json("bench", str(out), "--against", "fp32", *options)
    assert found["runtime"] == "litert"
    assert [s["name"] for s in found["subjects"]] == [str(out), "fp32"]
    assert found["speedup"]["low"] <= found["speedup"]["median"]
    found = run_json("bench", TINY, "--runtime", "litert", "--against", str(out), *options)
    assert found["runtime"] == "litert"
    other = tmp_path / "a.onnx"
    assert run("export", TINY, "--out", str(other)).exit_code == 0
    assert run_json("bench", str(out), "--against", str(other), *options)["speedup"]


def test_a_tflite_file_without_our_stamp(tmp_path: Path) -> None:
    from spacedsl.compiler.tflite_build import Builder

    build = Builder()
    build.tensor("image", (1, 4), np.float32)
    build.op("LOGISTIC", ["image"], build.tensor("logits", (1, 4), np.float32))
    file = tmp_path / "other.tflite"
    file.write_bytes(build.model(["logits"], "other", {"key": "value"}))
    assert run("bench", str(file), "--seconds", "0.1", "--allow-noise").exit_code == 0
    for args, message in (
        (("bench", str(file), "--against", "fp32"), "does not carry a model's page"),
        (("which", str(file)), "carries no page's hash"),
    ):
        result = run(*args)
        assert result.exit_code == 2
        assert message in result.stderr


def test_bench_says_what_it_cannot_run(tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    assert run("export", TINY, "--format", "tflite", "--out", str(cut)).exit_code == 0
    cut.write_bytes(cut.read_bytes()[:9999])
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    for args, message in (
        ((str(bad),), "ONNX Runtime cannot load"),
        ((str(cut),), "LiteRT cannot load"),
        ((str(cut), "--runtime", "onnxruntime"), "is a file for litert"),
        ((str(tmp_path / "no.onnx"),), "there is no file"),
        (("vnni",), "neither an .onnx or .tflite file nor a model"),
        ((TINY, "--against", "int4"), "neither `fp32` nor an .onnx or .tflite file"),
    ):
        result = run("bench", *args)
        assert result.exit_code == 2
        assert message in result.stderr


def test_bench_refuses_a_noisy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = Timing(np.random.default_rng(0).uniform(1, 2, (30, 2)))
    monkeypatch.setattr("spacedsl.flows.bench.interleave", lambda runs, seconds, **more: noisy)
    result = run("bench", TINY, "--against", "fp32")
    assert result.exit_code == 2
    assert "error[too-noisy]" in result.stderr
    assert "(wanted 2%)" in result.stderr
    assert run("bench", TINY, "--against", "fp32", "--allow-noise").exit_code == 0


class Clock:
    """Time that passes only while subjects run."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def taking(self, seconds: float, log: list[float]) -> measuring.Run:
        def go() -> None:
            log.append(seconds)
            self.now += seconds

        return go


def test_interleaving_finds_the_ratio_and_rotates() -> None:
    clock, log = Clock(), list[float]()
    timing = interleave([clock.taking(1, log), clock.taking(3, log)], 1e9, take=measuring.by(clock))
    assert timing.steady
    assert timing.ratio(0, 1).median == 3
    visit = measuring.WARM_RUNS + measuring.TIMED_RUNS
    after = log[2 * measuring.WARM_UP :]
    assert after[: 4 * visit] == [1] * visit + [3] * 2 * visit + [1] * visit
    assert (
        len(interleave([clock.taking(1, log)], 0, rounds=7, take=measuring.by(clock)).times_s) == 7
    )


def test_an_interval_holds_the_median_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = estimate(rng.lognormal(0, 0.3, 40))
        hits += found.low <= 1 <= found.high
    assert hits / 400 > 0.93


@pytest.mark.parametrize(
    ("text", "architecture", "warnings"),
    [
        ("model name : X\nflags : avx2 avx512f avx512_vnni\n", "x86_64", ()),
        ("flags : avx2 avx_vnni", "x86_64", ()),
        ("flags : avx2 avx512f", "x86_64", (SATURATES,)),
        ("", "x86_64", (UNKNOWN,)),
        ("Features : asimd asimddp", "aarch64", ()),
    ],
)
def test_a_cpu_that_saturates_is_warned_about(
    text: str, architecture: str, warnings: tuple[str, ...]
) -> None:
    assert machine_from(text, architecture, 2).warnings == warnings


RASPBERRY_PI_5 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""


@pytest.mark.parametrize(
    ("more", "features"),
    [
        ("", ("neon", "fp16", "dotprod")),
        (" sve i8mm bf16 sve2", ("neon", "fp16", "dotprod", "i8mm", "sve", "sve2")),
    ],
)
def test_an_arm_cpu_is_told_by_its_part_and_features(more: str, features: tuple[str, ...]) -> None:
    text = RASPBERRY_PI_5.replace("asimddp", f"asimddp{more}")
    found = machine_from(text, "aarch64", 4)
    assert found.cpu == "ARM 0x41 0xd0b"
    assert found.features == features
    assert found.onnxruntime_session == {}


def test_doctor_tells_features_and_packages() -> None:
    found = run_json("doctor")
    assert found["packages"]["onnxruntime"]
    assert found["extras"]["onnx"] is True
    assert found["extras"]["tflite"] is True
    assert json.dumps(found["warnings"])
    shown = run("doctor").stdout
    assert "onnxruntime" in shown
    assert f"ai-edge-litert {found['packages']['ai-edge-litert']}" in shown
