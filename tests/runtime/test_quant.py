"""LSQ+: values against integers, gradients against closed forms and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spacedsl.compiler.fold import fold_integers
from spacedsl_runtime.quant import lsq
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.quant.fold import Norm, fold

SEEDS = st.integers(0, 2**16)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def leaf(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@given(SEEDS, st.floats(0.01, 0.05), st.floats(-6, 1))
def test_activations_are_what_the_integer_runtime_makes(seed: int, s: float, beta: float) -> None:
    x = noise(seed, 2, 3, 5, 5) * 3
    scale = torch.tensor(s)
    found = lsq.fake_quantise_activation(x, scale, torch.tensor(beta))
    step = np.float32(s)
    zero = np.clip(np.rint(np.float32(-np.float32(beta) / step)), 0, 255)
    steps = np.clip(np.rint(x.numpy() / step) + zero, 0, 255)
    assert np.array_equal(found.numpy(), (steps - zero).astype(np.float32) * step)


@given(SEEDS)
def test_activation_gradients_are_the_closed_forms(seed: int) -> None:
    x = (noise(seed, 1, 400) * 3).double().requires_grad_()
    s, beta = leaf(0.013), leaf(-1.0)
    torch.autograd.backward(lsq.fake_quantise_activation(x, s, beta).sum())
    v = x.detach() / 0.013
    zero = round(1.0 / 0.013)
    low, high = v.round() + zero < 0, v.round() + zero > 255
    inside = ~(low | high)
    factor = 1 / np.sqrt(400 * 255)
    d_zero_d_s = 1.0 * (1 / 0.013) / 0.013 * -1  # of -beta / s, by s
    outside_s = torch.where(low, -float(zero), 255.0 - zero) - 0.013 * d_zero_d_s
    d_s = torch.where(inside, v.round() - v, outside_s).sum() * factor
    assert x.grad is not None
    assert s.grad is not None
    assert beta.grad is not None
    assert torch.equal(x.grad, inside.double())
    assert torch.isclose(beta.grad, (~inside).sum().double() * factor)
    assert torch.isclose(s.grad, d_s, rtol=1e-6)  # `factor` is exact, 0.013 and its inverse not


@given(SEEDS)
def test_weight_gradients_are_the_closed_forms(seed: int) -> None:
    w = noise(seed, 8, 4, 3, 3).double().requires_grad_()
    s = leaf(0.015)
    torch.autograd.backward(lsq.fake_quantise_weight(w, s).sum())
    v = w.detach() / 0.015
    inside = v.round().abs() <= 127
    d_s = torch.where(inside, v.round() - v, v.sign() * 127).sum()
    assert w.grad is not None
    assert s.grad is not None
    assert torch.equal(w.grad, inside.double())
    assert torch.isclose(s.grad, d_s / np.sqrt(w.numel() * 127))


def test_where_everything_clips_the_gradient_is_the_finite_difference() -> None:
    """No rounding is in the way there, so the straight-through estimate is exact."""
    x = torch.full((1, 7), 50.0, dtype=torch.float64)
    factor = lsq.gradient_scale(7, 255)

    def top(s: float, beta: float) -> Tensor:
        s_, b_ = torch.tensor(s, dtype=torch.float64), torch.tensor(beta, dtype=torch.float64)
        return (255 + b_ / s_) * s_ * 7  # the zero point without its rounding

    s, beta = leaf(0.02), leaf(-1.0)  # -beta / s is whole
    torch.autograd.backward(lsq.fake_quantise_activation(x, s, beta).sum())
    h = 1e-6
    assert s.grad is not None
    assert beta.grad is not None
    d_s = (top(0.02 + h, -1.0) - top(0.02 - h, -1.0)) / (2 * h)
    d_beta = (top(0.02, -1.0 + h) - top(0.02, -1.0 - h)) / (2 * h)
    assert torch.isclose(s.grad, d_s * factor, rtol=1e-3)
    assert torch.isclose(beta.grad, d_beta * factor, rtol=1e-3)


def test_an_offset_beyond_the_grid_still_learns() -> None:
    x, s, beta = torch.full((1, 4), -9.0).double(), leaf(0.1), leaf(2.0)
    torch.autograd.backward(lsq.fake_quantise_activation(x, s, beta).sum())
    assert beta.grad is not None
    assert beta.grad > 0


@given(SEEDS)
def test_the_first_weight_scale_clips_nothing(seed: int) -> None:
    """The authors' starts at half of it (facts, section 7)."""
    w = noise(seed, 6, 5, 3, 3)
    quantiser = WeightQuantiser(w)
    integers = lsq.quantise_weight(w, quantiser.scale)
    assert integers.abs().max() == 127
    assert (quantiser(w) - w).abs().max() <= quantiser.scale * 0.5001


@given(SEEDS, st.booleans())
def test_a_started_quantiser_holds_its_range(seed: int, fixed: bool) -> None:
    x = noise(seed, 4, 6, 3, 3)
    quantiser = ActivationQuantiser(fixed)
    quantiser.start(x)
    scale, zero = quantiser.deployed()
    assert 0 <= zero <= 255
    assert zero == 0 or not fixed
    wanted = x.clamp_min(0) if fixed else x
    assert (quantiser(x) - wanted).abs().max() <= scale * 1.001
    ActivationQuantiser().start(torch.zeros(2, 2))


@given(SEEDS)
def test_a_bias_lies_on_the_integer_grid(seed: int) -> None:
    bias, step = noise(seed, 9).requires_grad_(), torch.tensor(0.003)
    found = lsq.bias_to_grid(bias, step)
    assert torch.allclose(found / step, (found / step).round(), atol=1e-4)
    torch.autograd.backward(found.sum())
    assert bias.grad is not None
    assert torch.allclose(bias.grad, torch.ones(9))


@given(SEEDS)
def test_folding_is_the_compilers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    c = 6
    integers = rng.integers(-127, 128, (c, 3, 3, 3)).astype(np.int8)
    arrays = {k: rng.standard_normal(c).astype(np.float32) for k in ("gamma", "beta", "mean")}
    arrays["gamma"][0] = 0
    arrays["gamma"][1] = 1e-20
    arrays["var"] = rng.random(c).astype(np.float32) + np.float32(0.1)
    theirs = fold_integers(integers, 0.01, arrays, np.float32(0.02))
    tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
    norm = Norm(tensors["gamma"], tensors["beta"], tensors["mean"], tensors["var"])
    ours = fold(torch.from_numpy(integers), torch.tensor(0.01, dtype=torch.float64), norm)
    assert np.array_equal(ours.weight.numpy(), theirs.weight)
    steps = ours.bias.numpy() / (np.float32(0.02) * ours.scale.numpy())
    free = np.abs(steps) < 2**29  # beyond it the compiler gives the channel a larger scale
    assert free[2:].all()
    assert np.allclose(ours.scale.numpy()[free], theirs.scale[free], rtol=1e-6)
    assert np.allclose(steps[free], theirs.bias[free], rtol=1e-5, atol=0.51)
    assert (ours.scale > 0).all()
    assert (ours.weight[0] == 0).all()


@given(SEEDS)
def test_a_folded_convolution_does_what_convolution_and_norm_did(seed: int) -> None:
    c, w, x = 5, noise(seed, 5, 4, 3, 3), noise(seed + 1, 2, 4, 6, 6)
    scale = lsq.weight_scale(w)
    integers = lsq.quantise_weight(w, scale)
    parts = (noise(seed + 2, c), noise(seed + 3, c), noise(seed + 4, c), noise(seed + 5, c) ** 2)
    norm = Norm(*parts)
    y = torch.nn.functional.conv2d(x, integers * scale)
    expected = torch.nn.functional.batch_norm(y, parts[2], parts[3], parts[0], parts[1])
    folded = fold(integers, scale, norm)
    weight = folded.weight.float() * folded.scale[:, None, None, None]
    found = torch.nn.functional.conv2d(x, weight, folded.bias)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("value", [0.5, 1.5, 2.5, -0.5])
def test_halves_round_to_even_as_onnx_runtime_rounds(value: float) -> None:
    assert float(lsq.round_ste(torch.tensor(value))) == float(np.rint(value))
