"""Folding into integers: exact where it must be, and safe where numbers are extreme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spacedsl.compiler.fold import (
    WEIGHT_MAX,
    IntWeights,
    bias_scale,
    fold_floats,
    quantise_weights,
)
from spacedsl.compiler.integer_model import (
    IntegerModel,
    from_range,
    load_model,
    preprocess_for,
    save_model,
)
from spacedsl.compiler.parameters import NodeParameters
from spacedsl.diagnostics import SpaceError
from tests.compiler.onnx_support import seeded_model
from tests.support import library_model

Floats = NDArray[np.float32]
EXTREMES = [0.0, -0.0, 1e-30, -1e-30, 1e-6, -0.5, 1.0, -3.0, 1e4]


@st.composite
def norms(draw: st.DrawFn) -> NodeParameters:
    """A convolution with batch norm, its statistics as extreme as broken training makes them."""
    cout, cin, k = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = st.lists(st.sampled_from(EXTREMES), min_size=cout, max_size=cout)

    def channel() -> Floats:
        return np.array(draw(values), np.float32)

    return {
        "weight": rng.standard_normal((cout, cin, k, k), dtype=np.float32),
        "gamma": channel(),
        "beta": channel(),
        "mean": channel(),
        "var": np.abs(channel()),
    }


def check_sound(found: IntWeights, input_scale: np.float32) -> None:
    """Everything a runtime relies on, and no accumulator beyond int32."""
    assert found.weight.dtype == np.int8
    assert found.bias.dtype == np.int32
    assert found.scale.dtype == np.float32
    assert (np.abs(found.weight.astype(int)) <= WEIGHT_MAX).all()
    assert (found.scale > 0).all()
    assert (bias_scale(input_scale, found.scale) >= np.finfo(np.float32).tiny).all()
    flat = np.abs(found.weight.astype(np.int64)).reshape(len(found.scale), -1)
    worst = np.abs(found.bias.astype(np.int64)) + 255 * flat.sum(axis=1)
    assert (worst < 2**31).all()


@given(norms(), st.sampled_from([1e-4, 0.02, 3.0]))
def test_rounded_weights_are_sound_and_near(parameters: NodeParameters, scale: float) -> None:
    s_x = np.float32(scale)
    weight, bias = fold_floats(parameters)
    found = quantise_weights(weight, bias, s_x)
    check_sound(found, s_x)
    back = found.weight * found.scale[:, None, None, None].astype(np.float64)
    assert (np.abs(back - weight) <= 0.5001 * found.scale[:, None, None, None]).all()
    grid = bias_scale(s_x, found.scale).astype(np.float64)
    slack = 0.5001 * grid + np.abs(bias) * 1e-6
    assert (np.abs(found.bias * grid - bias) <= slack).all()


@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32))
def test_zero_is_exact_in_every_quantiser(low: float, high: float) -> None:
    found = from_range(min(low, high), max(low, high))
    assert 0 <= found.zero_point <= 255
    assert found.write > 0
    assert np.float32(found.write) == found.write


def test_pixels_use_all_of_the_input_quantiser() -> None:
    found = preprocess_for(3).quantiser()
    assert found.write == pytest.approx((2.64 + 2.1179) / 255, rel=1e-4)
    assert found.zero_point == 114


def test_an_integer_model_comes_back_and_damage_is_refused(tmp_path: Path) -> None:
    _, model = seeded_model(library_model("models/tiny-a0"))
    path, again = tmp_path / "m.npz", tmp_path / "n.npz"
    save_model(model, path)
    save_model(model, again)
    assert path.read_bytes() == again.read_bytes()
    loaded = load_model(path)
    assert loaded.header == model.header
    for name, found in model.weights.items():
        assert [a.tolist() for a in found] == [a.tolist() for a in loaded.weights[name]]
    data = path.read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 10):
        path.write_bytes(data[:cut])
        with pytest.raises(SpaceError) as caught:
            load_model(path)
        assert caught.value.diagnostics[0].code == "bad-integer-model"


def test_numbers_that_do_not_fit_the_plan_are_refused(tmp_path: Path) -> None:
    _, model = seeded_model(library_model("models/tiny-a0"))
    quantisers = model.header.quantisers
    clipped = next(n.name for n in model.nodes if n.clip == "relu6")
    for change, message in (
        ({clipped: quantisers[clipped].model_copy(update={"zero_point": 3})}, "needs zero point 0"),
        ({clipped: quantisers[clipped].model_copy(update={"write": 1.0})}, "at most 6/255"),
        ({clipped: quantisers[clipped].model_copy(update={"zero_point": 256})}, "not in 0..255"),
        ({"more": quantisers[clipped]}, "not those of the plan"),
    ):
        header = model.header.model_copy(update={"quantisers": {**quantisers, **change}})
        with pytest.raises(SpaceError, match=message):
            save_model(IntegerModel(header, model.weights), tmp_path / "m.npz")
    name, found = next(iter(model.weights.items()))
    for weights, message in (
        (found._replace(weight=found.weight[:-1]), "the plan says"),
        (found._replace(scale=-found.scale), "not above zero"),
        (found._replace(weight=np.full_like(found.weight, -128)), "-128"),
    ):
        with pytest.raises(SpaceError, match=message):
            save_model(
                IntegerModel(model.header, {**model.weights, name: weights}), tmp_path / "m.npz"
            )
    assert not list(tmp_path.iterdir())
