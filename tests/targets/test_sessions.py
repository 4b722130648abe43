"""A target's sessions of ONNX Runtime are those that an application opens: same options, same
kernels, same time; but for CPUs on which a plain session's kernels saturate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from spacedsl import api
from spacedsl.hosts.host import HERE, options_here
from spacedsl.hosts.measure import CLOCKS, Visit, by, interleave
from spacedsl.ir.subnet import Subnet
from spacedsl.runtimes import machine
from spacedsl.runtimes.machine import PRECISE, machine_from, this_machine
from spacedsl.runtimes.onnxruntime import random_feed
from spacedsl.runtimes.table import runtime_of
from spacedsl.targets.deployment import artifact_of
from spacedsl.targets.profile_cache import header_of, profile_path
from tests.cli.test_commands import run, run_json
from tests.compiler.onnx_support import open_session

CPU = api.load_target("cpu")
EXACT = not this_machine().onnxruntime_session


def artifact(name: str) -> bytes:
    item = api.load(name)
    assert isinstance(item, Subnet)
    return artifact_of(item, CPU)


def plain_session(model: bytes, optimised: Path | None = None) -> ort.InferenceSession:
    """As an application opens it that wants one thread and nothing else."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def weight_types(path: Path) -> set[int]:
    """Data types of the weights of convolutions."""
    graph = onnx.load(path).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {types[node.input[3]] for node in graph.node if node.op_type == "QLinearConv"}


@pytest.fixture
def no_vnni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process reads of the CPU says AVX2 and nothing more."""
    (tmp_path / "cpuinfo").write_text("model name : old\nflags : avx2\n")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    options_here.cache_clear()
    yield
    options_here.cache_clear()


x86 = pytest.mark.skipif(not this_machine().x86, reason="the option is about x86 kernels")


@pytest.mark.skipif(not EXACT, reason="a plain session's kernels saturate on this CPU")
def test_a_session_has_a_plain_ones_kernels(tmp_path: Path) -> None:
    model = artifact("seqnet-vnni-a0")
    open_session(model, optimised=tmp_path / "ours.onnx")
    plain_session(model, tmp_path / "plain.onnx")
    assert (tmp_path / "ours.onnx").read_bytes() == (tmp_path / "plain.onnx").read_bytes()
    assert weight_types(tmp_path / "ours.onnx") == {onnx.TensorProto.INT8}


@pytest.mark.skipif(not EXACT, reason="a plain session's kernels saturate on this CPU")
def test_a_target_times_what_a_plain_session_takes() -> None:
    """The kernels of the other kind take twice as long and more; sessions of one file differ by
    some percent."""
    model = artifact("seqnet-vnni-a2")
    plain = plain_session(model)
    feed = random_feed(plain)
    runs = [HERE.open(runtime_of(CPU), model, 1), lambda: plain.run(None, feed)]
    timing = interleave(runs, 60, rounds=12, take=by(CLOCKS["cpu"]), visit=Visit(warm=2, timed=3))
    assert timing.ratio(0, 1).median == pytest.approx(1, abs=0.15)


@x86
def test_without_vnni_sessions_ask_for_exact_kernels(no_vnni: None, tmp_path: Path) -> None:
    open_session(artifact("seqnet-vnni-a0"), optimised=tmp_path / "ours.onnx")
    assert weight_types(tmp_path / "ours.onnx") == {onnx.TensorProto.UINT8}
    assert run_json("doctor")["onnxruntime_session"] == {PRECISE: "1"}
    assert f"{PRECISE}=1" in run("doctor").stdout
    assert options_here("onnxruntime") == {PRECISE: "1"}


@x86
def test_the_session_is_part_of_a_profiles_key(no_vnni: None) -> None:
    header = header_of(CPU)
    assert header.session == {PRECISE: "1"}
    assert profile_path(header) != profile_path(header.model_copy(update={"session": {}}))


@pytest.mark.parametrize(
    ("flags", "architecture", "needed"),
    [
        ("avx2 avx512f avx512_vnni", "x86_64", False),
        ("avx2 avx_vnni", "x86_64", False),
        ("avx2 amx_int8", "x86_64", False),
        ("avx2 avx512f", "x86_64", True),
        ("asimd", "aarch64", False),
    ],
)
def test_which_cpus_need_the_option(flags: str, architecture: str, needed: bool) -> None:
    found = machine_from(f"flags : {flags}\n", architecture, 2).onnxruntime_session
    assert found == ({PRECISE: "1"} if needed else {})


def test_a_cpu_that_says_nothing_is_taken_for_an_old_one() -> None:
    assert machine_from("", "x86_64", 2).onnxruntime_session == {PRECISE: "1"}


@pytest.mark.skipif(not EXACT, reason="the option changes the numbers on this CPU")
def test_with_vnni_both_kinds_give_the_same_numbers() -> None:
    model = artifact("seqnet-vnni-a0")
    options = ort.SessionOptions()
    options.add_session_config_entry(PRECISE, "1")
    precise = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = random_feed(precise)
    (wanted,) = precise.run(None, feed)
    (found,) = open_session(model).run(None, feed)
    assert np.array_equal(found, wanted)
