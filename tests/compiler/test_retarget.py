"""Integer models under another runtime's rules: the same where the 8-bit tensors are, measured
where they are not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from spacedsl.compiler.export import Seeded
from spacedsl.compiler.integer_model import IntegerModel, save_model
from spacedsl.compiler.parameters import Floats, images
from spacedsl.compiler.reference import logits
from spacedsl.compiler.retarget import difference, moved, restamped
from spacedsl.compiler.stamps import onnx_stamp
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activation import Rewrite
from spacedsl.runtimes.rules import Rules
from spacedsl.runtimes.table import BUILT_IN, ONNXRUNTIME
from tests.cli.test_commands import run
from tests.compiler.onnx_support import (
    library_blocks,
    net_around,
    seeded_model,
    step_differences,
)
from tests.support import SPACES, library_model

TINY = str(SPACES / "models" / "tiny-a0.space")


def rules(**acts: Rewrite) -> Rules:
    """ONNX Runtime's but for some activations, under another name."""
    changed = tuple({**dict(ONNXRUNTIME.rules.acts), **acts}.items())
    update = {"runtime": "other", "aliases": ("other",), "acts": changed}
    return ONNXRUNTIME.rules.model_copy(update=update)


def se_net() -> Subnet:
    block = next(b for b in library_blocks() if b.name == "mbv3")
    return net_around(block, 2, 24, 24, "hswish")


@pytest.fixture(scope="module")
def seeded() -> tuple[Seeded, IntegerModel, Floats]:
    net, model = seeded_model(se_net())
    return net, model, images(net.plan.graph.input, 8, 5)


def same_numbers(a: IntegerModel, b: IntegerModel) -> bool:
    weights = all(
        np.array_equal(getattr(found, part), getattr(b.weights[name], part))
        for name, found in a.weights.items()
        for part in found._fields
    )
    return weights and a.header.quantisers == b.header.quantisers


def test_the_same_8_bit_tensors_are_the_same_model(
    seeded: tuple[Seeded, IntegerModel, Floats],
) -> None:
    _, model, x = seeded
    stamped, found = restamped(model, rules(), None), moved(model, rules(), None, x)
    assert stamped is not None
    assert stamped.header.plan.rules.runtime == "other"
    assert same_numbers(stamped, model)
    assert same_numbers(found.model, model)
    measured = difference(model, found, x)
    assert (measured.calibrated, measured.max_logit_difference) == ((), 0.0)
    assert measured.argmax_agreement == 1.0


def test_what_was_not_learned_is_calibrated_and_measured(
    seeded: tuple[Seeded, IntegerModel, Floats],
) -> None:
    """A gate as an op of its own: the bias loses its 3, and its convolution and the op need
    quantisers."""
    _, model, x = seeded
    other = rules(hsigmoid="function")
    assert restamped(model, other, None) is None
    found = moved(model, other, None, x)
    excite = [f"stage1.{i}.se0.excite" for i in range(2)]
    assert found.calibrated == tuple(f"{e}{act}" for e in excite for act in ("", ".hsigmoid"))
    kept = found.model.header.quantisers
    for name, quantiser in model.header.quantisers.items():
        assert name in found.calibrated or kept[name] == quantiser
    name = found.calibrated[0]
    before, after = model.weights[name], found.model.weights[name]
    assert np.array_equal(before.weight, after.weight)
    step = before.scale * np.float32(kept["stage1.0.se0.squeeze"].read)
    assert np.allclose((before.bias - after.bias) * step, 3.0, atol=step.max())
    assert all(off.max() <= 1 for _, off in step_differences(found.model, x[:2]))
    measured = difference(model, found, x)
    off = np.abs(logits(model, x) - logits(found.model, x))
    assert measured.max_logit_difference == off.max() > 0
    assert measured.mean_logit_difference == pytest.approx(off.mean())
    assert measured.images == 8


def test_there_and_back_is_where_it_was(seeded: tuple[Seeded, IntegerModel, Floats]) -> None:
    _, model, x = seeded
    there = moved(model, rules(hsigmoid="function"), None, x).model
    back = moved(there, ONNXRUNTIME.rules, None, x)
    assert back.calibrated == ()
    assert back.model.header.quantisers == model.header.quantisers
    for name, found in model.weights.items():
        assert np.array_equal(found.weight, back.model.weights[name].weight)
        assert np.abs(found.bias - back.model.weights[name].bias).max() <= 1


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A model's weights for ONNX Runtime, and a target that says swish in another way."""
    other = dataclasses.replace(ONNXRUNTIME, rules=rules(swish="gated-product"))
    monkeypatch.setitem(BUILT_IN, "other", other)
    page = (SPACES / "targets" / "vnni.space").read_text().replace("ONNX Runtime", "other")
    (tmp_path / "mine.space").write_text(page.replace("target vnni", "target mine"))
    _, model = seeded_model(library_model("models/tiny-a0"))
    save_model(model, tmp_path / "w.npz")
    return (
        *("export", TINY, "--weights", str(tmp_path / "w.npz")),
        *("--target", str(tmp_path / "mine.space"), "--out", str(tmp_path / "a.onnx")),
    )


def test_another_set_of_8_bit_tensors_is_refused(trained: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*trained)
    assert result.exit_code == 2
    assert "target `mine` (other) keeps other tensors in 8 bits than" in result.stderr
    assert "was trained with (no target, onnxruntime)" in result.stderr
    assert "--report-difference" in result.stderr
    assert not (tmp_path / "a.onnx").exists()


def test_by_flag_the_difference_is_reported(trained: tuple[str, ...], tmp_path: Path) -> None:
    found = json.loads(run(*trained, "--report-difference", "--format", "json").stdout)
    measured = found["difference"]
    assert found["file"] == str(tmp_path / "a.onnx")
    assert (measured["trained_for"], measured["exported_for"]) == ("onnxruntime", "other")
    assert 0 <= measured["argmax_agreement"] <= 1
    assert 0 < measured["mean_logit_difference"] <= measured["max_logit_difference"]
    assert onnx_stamp((tmp_path / "a.onnx").read_bytes(), "a.onnx")["runtime"] == "other"
    np.save(tmp_path / "x.npy", np.zeros((3, 3, 32, 32), np.float32))
    result = run(*trained, "--report-difference", "--images", str(tmp_path / "x.npy"))
    assert result.exit_code == 0
    assert "trained for onnxruntime, exported for other: 0 tensors" in result.stdout
    assert "of 3 images" in result.stdout
    same = [*trained[:4], "--target", "vnni", *trained[6:], "--report-difference"]
    assert "the same tensors in 8 bits: no difference" in run(*same).stdout
    assert (
        json.loads(run(*trained[:4], *trained[6:], "--format", "json").stdout)["difference"] is None
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 3, 24, 24), np.float32), r"holds float32 (2, 3, 24, 24), the model takes"),
        (np.zeros((2, 3, 32, 32), np.float64), "holds float64"),
        (np.zeros((0, 3, 32, 32), np.float32), "holds no images"),
        (np.full((1, 3, 32, 32), np.nan, np.float32), "not finite"),
        (np.array([{}]), "is no .npy file of images"),
        (None, "x.npy: No such file"),
    ],
)
def test_bad_images(
    data: np.ndarray | None, message: str, trained: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "x.npy"
    if data is not None:
        np.save(path, data)
    result = run(*trained, "--report-difference", "--images", str(path))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "a.onnx").exists()


def test_options_that_need_each_other(tmp_path: Path) -> None:
    for more, message in (
        (("--report-difference",), "--report-difference needs --weights and --target"),
        (("--images", "x.npy"), "--images is for --report-difference"),
    ):
        result = run("export", TINY, "--out", str(tmp_path / "a.onnx"), *more)
        assert result.exit_code == 2
        assert message in result.stderr
