"""Networks that give maps: graphs, files and what runtimes make of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from spacedsl.compiler.card import card
from spacedsl.compiler.export import FILES, Seeded, integer_model, seeded
from spacedsl.compiler.graph import Graph, Tap
from spacedsl.compiler.integer_model import IntegerModel, load_model, save_model
from spacedsl.compiler.pad import padded_channels
from spacedsl.compiler.parameters import images
from spacedsl.compiler.plans import NetworkPlan, network_plan, plan_text
from spacedsl.compiler.reference import dequantise, outputs, quantise
from spacedsl.compiler.retarget import difference, moved
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.compiler.supernet_file import load_supernet_plan, plan_json
from spacedsl.diagnostics import SpaceError
from spacedsl.json_files import sealed_text
from spacedsl.runtimes import litert, onnxruntime
from spacedsl.runtimes.litert_profile import ProfiledFile
from spacedsl.runtimes.record import Runtime
from spacedsl.runtimes.table import LITERT, ONNXRUNTIME
from spacedsl.targets.deployed import open_deployed
from tests.compiler import onnx_support, tflite_support
from tests.compiler.onnx_support import assert_all_integer
from tests.compiler.taps_support import eye, eyes, peak
from tests.support import library_model

Shapes = dict[str, tuple[int, int, int]]

SHAPES: Shapes = {"stride4": (24, 11, 11), "stride8": (40, 6, 6), "stride16": (48, 3, 3)}
LEVELS: Shapes = {"stride4": (20, 12, 12), "stride8": (20, 6, 6), "stride16": (20, 3, 3)}


@pytest.fixture(scope="module", params=[eye, peak], ids=lambda page: page.__name__)
def net(request: pytest.FixtureRequest) -> Seeded:
    return seeded(request.param(), 0)


@pytest.fixture(scope="module")
def shapes(net: Seeded) -> Shapes:
    return SHAPES if net.plan.origin.model == "eye" else LEVELS


@pytest.fixture(scope="module")
def model(net: Seeded) -> IntegerModel:
    return integer_model(net)


def test_the_graph_says_which_tensors_are_its_outputs(net: Seeded, shapes: Shapes) -> None:
    graph = net.plan.graph
    assert {o.name: o.shape for o in graph.outputs} == shapes
    assert [o.node.name for o in graph.outputs] == (
        ["stage1.1.add0", "stage3.1.add0", "stage4.0.add0"]
        if shapes is SHAPES
        else [f"pyramid.out.0.conv{i}" for i in (2, 1, 0)]
    )
    text = plan_text(net.plan)
    assert NetworkPlan.model_validate_json(text) == net.plan
    assert '"taps"' not in plan_text(network_plan(library_model("models/tiny-a0")))
    with pytest.raises(ValidationError, match="the output x is y, which no node makes"):
        Graph(nodes=graph.nodes, taps=(Tap(name="x", tensor="y"),))
    with pytest.raises(ValidationError, match="two outputs have one name"):
        Graph(nodes=graph.nodes, taps=graph.taps[:1] * 2)


def test_an_integer_model_keeps_its_outputs(model: IntegerModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.npz")
    assert load_model(tmp_path / "m.npz").header.plan.outputs() == model.header.plan.outputs()
    other = model.header.plan.for_data(1, None)
    assert (other.network.input.shape[0], other.outputs()) == (1, model.header.plan.outputs())


def test_outputs_keep_their_channels(model: IntegerModel) -> None:
    """Where the emitter adds channels to others."""
    plan = model.header.plan
    padded = padded_channels(plan, plan.rules)
    assert all(padded[node.name].count == node.shape[0] for _, node in plan.outputs())
    assert any(padded[node.name].count != node.shape[0] for node in plan.graph.nodes)


def test_all_between_input_and_outputs_is_integer(model: IntegerModel, tmp_path: Path) -> None:
    assert_all_integer(model, tmp_path)


def given(runtime: Runtime, data: bytes, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """A file's outputs by name, (N, C, H, W), in the file's order."""
    if runtime is LITERT:
        session = litert.Session(data)
        found = [session.run(tflite_support.channels_last(image[None])) for image in x]
        stacked = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
        return {name: value.transpose(0, 3, 1, 2) for name, value in stacked.items()}
    return onnx_support.outputs_of(data, x)


@pytest.mark.parametrize("runtime", [ONNXRUNTIME, LITERT], ids=lambda r: r.name)
def test_files_give_the_maps(net: Seeded, shapes: Shapes, runtime: Runtime) -> None:
    """By name, in the page's order; INT8 as the reference, to the steps by which ops may differ;
    FP32 near INT8."""
    found = integer_model(net, runtime.rules)
    files, x = FILES[runtime.format], images(net.plan.graph.input, 2, 7)
    maps = given(runtime, files.integers(found), x)
    floats = given(runtime, files.fp32(net), x)
    assert {name: value.shape[1:] for name, value in maps.items()} == shapes
    assert list(maps) == list(floats) == list(shapes)
    assert np.isfinite(np.concatenate([value.ravel() for value in maps.values()])).all()
    for output, node in found.header.plan.outputs():
        quantiser, value = found.header.quantisers[node.name], maps[output.name]
        steps = quantise(value.astype(np.float64), quantiser)
        assert np.allclose(dequantise(steps, quantiser), value, atol=1e-6), "whole steps"
        wanted = outputs(found, x)[output.name]
        assert np.abs(value - wanted).mean() < quantiser.read / 2
        assert np.corrcoef(value.ravel(), floats[output.name].ravel())[0, 1] > 0.97


def test_no_op_is_further_off_than_elsewhere(net: Seeded, model: IntegerModel) -> None:
    x = images(net.plan.graph.input, 1, 3)
    for _, off in onnx_support.step_differences(model, x):
        assert off.max() <= 1
    for _, off in tflite_support.step_differences(integer_model(net, LITERT.rules), x):
        assert off.max() <= 1


def test_files_say_what_they_give(
    net: Seeded, model: IntegerModel, shapes: Shapes, tmp_path: Path
) -> None:
    for format, turned in (("onnx", (0, 1, 2)), ("tflite", (1, 2, 0))):
        files = FILES[format]
        found = model if format == "onnx" else integer_model(net, LITERT.rules)
        for data in (files.integers(found), files.fp32(net)):
            stamp = files.stamp(data, "file")
            assert json.loads(stamp["outputs"]) == [
                {"name": name, "shape": ["N", *(shape[i] for i in turned)], "dtype": "float32"}
                for name, shape in shapes.items()
            ]
        text = card(format, tmp_path / f"net.{format}", stamp, len(data))
        assert "| stride8 | float32 ['N', " in text
        assert "image-feature-extraction" in text
        file = tmp_path / f"net.{format}"
        file.write_bytes(data)
        with pytest.raises(SpaceError, match=r"gives maps \(stride4, stride8, stride16\)"):
            open_deployed(file)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_app_on_the_card_prints_the_maps(
    net: Seeded, shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from PIL import Image

    files = FILES[format]
    data = files.fp32(net)
    Path(tmp_path / f"net.{format}").write_bytes(data)
    Image.new("RGB", (60, 50), (90, 120, 150)).save(tmp_path / "photo.jpg")
    text = card(format, Path(f"net.{format}"), files.stamp(data, "net"), len(data))
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    exec(found[1], {})
    channels, *sides = shapes["stride8"]
    shape = (1, channels, *sides) if format == "onnx" else (1, *sides, channels)
    assert f"stride8 {shape}" in capsys.readouterr().out


def test_both_runtimes_profile_every_operator(
    net: Seeded, model: IntegerModel, tmp_path: Path
) -> None:
    data = FILES["tflite"].integers(integer_model(net, LITERT.rules))
    profiled = ProfiledFile(data)
    profiled()
    names, _ = profiled.close()
    assert set(SHAPES) <= set(names)
    session = onnxruntime.profiled(FILES["onnx"].integers(model), 1, {}, tmp_path)
    session()
    owned = {f"{o.node.name}.{o.name}" for o in net.plan.graph.outputs}
    assert owned <= set(session.close()[0]), "each belongs to the op that makes its map"


def test_what_another_runtime_costs_is_measured_on_the_maps(net: Seeded) -> None:
    model = integer_model(net)
    x = images(net.plan.graph.input, 2, 1)
    found = moved(model, LITERT.rules, None, x)
    measured = difference(model, found, x)
    assert measured.argmax_agreement is None
    assert measured.max_logit_difference < measured.logit_deviation


def test_a_supernet_s_plan_comes_back_with_its_taps(tmp_path: Path) -> None:
    plan = supernet_plan(eyes())
    path = tmp_path / "eyes.supernet.json"
    path.write_text(sealed_text(json.dumps(plan_json(plan))))
    again = load_supernet_plan(path)
    assert again == plan
    assert again.taps == {"stride4": 1, "stride8": 3, "stride16": 4}
    assert (plan.classes, list(bkd_plans(eyes()))) == (None, [])


def test_a_page_of_neither_is_told_of_both() -> None:
    bare = eyes().model_copy(update={"taps": ()})
    with pytest.raises(
        SpaceError, match=r"end it in a head, .* or name the maps .* `taps stride 16`"
    ):
        supernet_plan(bare)
