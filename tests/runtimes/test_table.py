"""Runtimes are records of one table: what they read, who reads a file, and packages' own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from spacedsl.api import load_target
from spacedsl.compiler.export import integer_model, seeded
from spacedsl.compiler.onnx_int8 import emit_int8
from spacedsl.compiler.reference import run_node
from spacedsl.compiler.stamp import IMAGE
from spacedsl.lang.page import Loader
from spacedsl.lsp.completion import complete
from spacedsl.runtimes import table
from spacedsl.runtimes.onnxruntime import open_session
from spacedsl.runtimes.record import Runtime
from spacedsl.runtimes.table import (
    BUILT_IN,
    GROUP,
    OPENVINO,
    formats,
    readers,
    rules_of,
    runtimes,
)
from spacedsl.targets.deployed import open_deployed
from spacedsl.text import Source
from tests.cli.test_commands import run, run_json
from tests.compiler.onnx_support import library_blocks, net_around
from tests.compiler.tflite_support import moved_to

PAGE = """language 1

target t {
  device "a box"
  runtime "%s"
  latency "onnxw"
  limits 9ms
}
"""

MINE = dataclasses.replace(
    OPENVINO, title="Mine", rules=OPENVINO.rules.model_copy(update={"runtime": "mine"})
)
WRONG = "not a runtime"


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[metadata.EntryPoint]]:
    """Entry points as if a package were installed that has them."""
    points: list[metadata.EntryPoint] = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **asked: points)
    table._registered.cache_clear()
    yield points
    table._registered.cache_clear()


def point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, GROUP)


def test_a_format_may_have_several_readers() -> None:
    assert [r.name for r in readers("onnx")] == ["onnxruntime", "openvino"]
    assert formats() == ("onnx", "tflite")
    assert readers("txt") == ()


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_runtimes_module_has_its_functions(name: str) -> None:
    runtime = BUILT_IN[name]
    for function in ("timed", "profiled", "logits", "tensors"):
        assert callable(getattr(runtime.sessions, function))


def test_an_unknown_runtime_is_an_error_of_check(tmp_path: Path) -> None:
    page = tmp_path / "t.space"
    page.write_text(PAGE % "tensorrt")
    result = run("check", str(page))
    assert result.exit_code == 2
    assert "t.space:5:3: error[unknown-runtime]: unknown runtime `tensorrt`" in result.stderr + (
        result.stdout
    )
    page.write_text(PAGE.replace('  runtime "%s"\n', "").replace("a box", "ONNX Runtime, OpenVINO"))
    result = run("check", str(page))
    assert "names several runtimes" in result.stderr + result.stdout


def test_a_package_registers_a_runtime(register: list[metadata.EntryPoint], tmp_path: Path) -> None:
    page = tmp_path / "t.space"
    page.write_text(PAGE % "mine")
    assert run("check", str(page)).exit_code == 2
    register.append(point("mine", "tests.runtimes.test_table:MINE"))
    table._registered.cache_clear()
    assert isinstance(runtimes()["mine"], Runtime)
    assert run("check", str(page)).exit_code == 0
    found = run_json("bench", "tiny-a0", "--runtime", "mine", "--seconds", "0.2", "--allow-noise")
    assert found["runtime"] == "mine"
    text = PAGE[: PAGE.index("%s")]
    choices = complete(Loader().open_source(Source("t.space", text), tmp_path), len(text)).choices
    assert [c.text for c in choices] == [*BUILT_IN, "mine"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gone", "no.such.module:RUNTIME", "cannot be loaded"),
        ("wrong", "tests.runtimes.test_table:WRONG", "is none"),
        ("litert", "spacedsl.runtimes.table:LITERT", "there is already"),
    ],
)
def test_a_packages_broken_runtime_is_named(
    register: list[metadata.EntryPoint], name: str, value: str, words: str
) -> None:
    register.append(point(name, value))
    result = run("bench", "tiny-a0", "--runtime", "unknown")
    assert result.exit_code == 2
    assert "error[bad-runtime]" in result.stderr
    assert words in result.stderr


def test_one_file_is_run_by_both_of_its_readers(tmp_path: Path) -> None:
    out = tmp_path / "a.onnx"
    assert run("export", "tiny-a0", "--target", "openvino", "--out", str(out)).exit_code == 0
    images = np.random.default_rng(0).standard_normal((8, 3, 32, 32), dtype=np.float32)
    ours, theirs = (open_deployed(out, runtime=n).run(images) for n in ("onnxruntime", "openvino"))
    off = np.abs(ours - theirs).max(1) / np.abs(ours).max(1)
    assert off.max() < 0.3
    wrong = run("eval", str(out), "--data", "digits", "--runtime", "litert")
    assert "is a file for onnxruntime or openvino, not for litert" in wrong.stderr


def test_openvino_is_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel of a network gets time by OpenVINO's own names of nodes."""
    from spacedsl import api
    from spacedsl.hosts.host import HERE
    from spacedsl.ir.subnet import Subnet
    from spacedsl.targets.attribution import attribute, kernel_owners
    from spacedsl.targets.deployment import artifact_of

    model, target = api.load("tiny-a0"), api.load_target("openvino")
    assert isinstance(model, Subnet)
    profiled = HERE.profiled(OPENVINO, artifact_of(model, target), 1, tmp_path)
    for _ in range(50):  # averages are told in whole microseconds
        profiled()
    names, times = profiled.close()
    assert times.shape == (50, len(names))
    kernels, owner = kernel_owners(model)
    owners = attribute(names, owner)
    ms = np.zeros(len(kernels))
    np.add.at(ms, owners, times[1])
    assert ms.sum() < 5, "the first inference, which prepares kernels, is not counted"
    costly = [k.kind for k, t in zip(kernels, ms, strict=True) if t == 0]
    assert not {kind for kind in costly if "conv" in kind or kind in ("fc", "swish")}


@pytest.mark.parametrize("act", ["hswish", "swish"])
def test_openvinos_gates_stay_float_inside_a_product(act: str) -> None:
    """One op makes what two did; no other tensor is another, and a product is within a step."""
    block = next(b for b in library_blocks() if b.name == "mbv3")
    free = tuple(p.model_copy(update={"default": None}) for p in block.params)
    net = net_around(block.model_copy(update={"params": free}), 2, 24, 25, act)
    model = moved_to(integer_model(seeded(net, 0)), OPENVINO.rules)
    page = load_target("openvino").model_copy(update={"rules": ()})
    plain = moved_to(model, rules_of(page))
    inner = {n.name for n in model.nodes if not n.value}
    assert len(inner) > 1
    written, before = (
        {t for node in emit_int8(m).graph.node for t in node.output if t.endswith(".q")}
        for m in (model, plain)
    )
    assert before - written == {f"{name}.q" for name in inner}
    names = [n.name for n in model.nodes if n.value]
    session = open_session(emit_int8(model, outputs=names).SerializeToString(), 1, {})
    images = seeded(net, 0).images
    values = session.run([f"{name}.q" for name in names], {IMAGE: images})
    found = dict(zip(names, values, strict=True))
    known, products = model.header.plan.graph.by_name(), 0
    for name, at in known.items():
        if at.op == "mul" and at.inputs[1] in inner:
            tensor = found[at.inputs[0]][:, : at.shape[0]]
            gate = run_node(model, known[at.inputs[1]], [tensor])
            off = found[name][:, : at.shape[0]].astype(int) - run_node(model, at, [tensor, gate])
            assert np.abs(off).max() <= 1, name
            products += 1
    assert products == len(inner)


def test_what_help_says_is_the_table() -> None:
    shown = " ".join(run("bench", "--help").stdout.split())
    assert ", ".join(BUILT_IN) in shown
    packages = json.loads(run("doctor", "--format", "json").stdout)["packages"]
    assert {p for r in BUILT_IN.values() for p in r.packages} <= set(packages)
