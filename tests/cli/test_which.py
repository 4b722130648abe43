"""spacedsl which: from an artifact to its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.ir.identity import space_identity
from spacedsl.json_files import sealed_text
from spacedsl.lang.library import library
from spacedsl.passes.network import subnet_identity
from tests.support import ROOT, library_model


def pages(file: Path, *args: str, code: int = 0) -> dict[str, list[str]]:
    result = CliRunner().invoke(app, ["which", str(file), *args, "--format", "json"])
    assert result.exit_code == code, result.output
    return {s["key"]: s["pages"] for s in json.loads(result.stdout)["stamps"]}


def test_a_shipped_table() -> None:
    found = pages(ROOT / "spacedsl" / "tables" / "data" / "onnxw.json")
    assert found == {"source.hyperspace_hash": ["<library>/onnxw.space#onnxw"]}


def test_a_journal(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    header = {
        "journal": 1,
        "tables": "0" * 64,
        "hyperspace": space_identity(api.load_space("tiny")),
    }
    file.write_text(json.dumps(header) + '\n{"index":0,"hash":"' + "1" * 64 + '"}\n')
    assert pages(file) == {"hyperspace": ["<library>/tiny.space#tiny"]}


def test_a_plan(tmp_path: Path) -> None:
    from spacedsl.compiler.plans import network_plan, plan_text

    file = tmp_path / "plan.json"
    file.write_text(sealed_text(plan_text(network_plan(library_model("models/tiny-a0")))))
    assert pages(file) == {
        "origin.hash": ["<library>/models/tiny-a0.space#tiny-a0"],
        "origin.space_hash": ["<library>/tiny-a.space#tiny-a"],
    }


def test_an_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import onnx
    from onnx import helper

    graph = helper.make_graph([], "g", [], [])
    model = helper.make_model(graph)
    digest = subnet_identity(library_model("models/tiny-a0"))
    helper.set_model_props(model, {"spacedsl.hash": digest, "other": "x"})
    file = tmp_path / "m.onnx"
    onnx.save(model, str(file))
    assert pages(file) == {"spacedsl.hash": ["<library>/models/tiny-a0.space#tiny-a0"]}
    file.write_bytes(b"\xff\xff")
    assert CliRunner().invoke(app, ["which", str(file)]).exit_code == 2


def test_a_tflite_file(tmp_path: Path) -> None:
    from spacedsl.compiler.export import fp32_tflite, seeded

    file = tmp_path / "m.tflite"
    data = fp32_tflite(seeded(library_model("models/tiny-a0"), 0))
    file.write_bytes(data)
    assert pages(file) == {
        "spacedsl.hash": ["<library>/models/tiny-a0.space#tiny-a0"],
        "spacedsl.space_hash": ["<library>/tiny-a.space#tiny-a"],
    }
    for damaged in (data[:1000], b"", b"\0\0\0\0TFL3"):
        file.write_bytes(damaged)
        result = CliRunner().invoke(app, ["which", str(file)])
        assert result.exit_code == 2
        assert result.stderr.count("error[") == 1


def test_pages_beside_and_in_other_folders(tmp_path: Path) -> None:
    text = (library() / "vnni.space").read_text().replace("64, 80", "80, 96")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "mine.space").write_text(text)
    stamp = {"hash": space_identity(api.load_space(tmp_path / "a" / "mine.space"))}
    for folder in ("a", "b"):
        (tmp_path / folder / "x.json").write_text(json.dumps(stamp))
    assert pages(tmp_path / "a" / "x.json")["hash"][0].endswith("mine.space#vnni")
    assert pages(tmp_path / "b" / "x.json", code=1) == {"hash": []}
    found = pages(tmp_path / "b" / "x.json", "--in", str(tmp_path / "a"))
    assert found["hash"][0].endswith("mine.space#vnni")


@pytest.mark.parametrize("text", ["{}", "[1]", "nothing", '{"hash": "short"}', "[" * 100_000])
def test_what_carries_no_stamp_is_an_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    result = CliRunner().invoke(app, ["which", str(file)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
