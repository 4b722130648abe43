"""LSQ+: values against integers, gradients against closed forms and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spacedsl.compiler import fold as compiler_fold
from spacedsl.compiler.fold import SCALE_FLOOR
from spacedsl.compiler.int8 import Clip, Fixed
from spacedsl_runtime.elastic.modules import EPSILON
from spacedsl_runtime.quant import lsq
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.quant.fold import Norm, fold
from spacedsl_runtime.quant.fused import fake_activation, fake_fixed, fake_joined, fake_weight
from tests.compiler.test_fold import check_sound

SEEDS = st.integers(0, 2**16)

Fake = Callable[..., Tensor]


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def straight_activation(x: Tensor, scale: Tensor, beta: Tensor) -> Tensor:
    """By straight-through estimates, operation by operation."""
    steps, step = lsq.activation_steps(x, scale, beta)
    return steps * step


def straight_weight(weight: Tensor, scale: Tensor) -> Tensor:
    steps, step = lsq.weight_steps(weight, scale)
    return steps * step


ACTIVATIONS = pytest.mark.parametrize("fake_activation", [straight_activation, fake_activation])
"""Both ways to quantise: for evaluation and frozen norms, and for training."""


def leaf(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@ACTIVATIONS
@given(SEEDS, st.floats(0.01, 0.05), st.floats(-6, 1))
def test_activations_are_what_the_integer_runtime_makes(
    fake_activation: Fake, seed: int, s: float, beta: float
) -> None:
    x = noise(seed, 2, 3, 5, 5) * 3
    scale = torch.tensor(s)
    found = fake_activation(x, scale, torch.tensor(beta))
    step = np.float32(s)
    zero = np.clip(np.rint(np.float32(-np.float32(beta) / step)), 0, 255)
    steps = np.clip(np.rint(x.numpy() / step) + zero, 0, 255)
    assert np.array_equal(found.numpy(), (steps - zero).astype(np.float32) * step)


@ACTIVATIONS
@given(SEEDS)
def test_activation_gradients_are_the_closed_forms(fake_activation: Fake, seed: int) -> None:
    x = (noise(seed, 1, 400) * 3).double().requires_grad_()
    s, beta = leaf(0.013), leaf(-1.0)
    torch.autograd.backward(fake_activation(x, s, beta).sum())
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


@pytest.mark.parametrize("quantised", [straight_weight, fake_weight])
@given(SEEDS)
def test_weight_gradients_are_the_closed_forms(quantised: Fake, seed: int) -> None:
    w = noise(seed, 8, 4, 3, 3).double().requires_grad_()
    s = leaf(0.015)
    torch.autograd.backward(quantised(w, s).sum())
    v = w.detach() / 0.015
    inside = v.round().abs() <= 127
    d_s = torch.where(inside, v.round() - v, v.sign() * 127).sum()
    assert w.grad is not None
    assert s.grad is not None
    assert torch.equal(w.grad, inside.double())
    assert torch.isclose(s.grad, d_s / np.sqrt(w.numel() * 127))


@ACTIVATIONS
def test_where_everything_clips_the_gradient_is_the_finite_difference(
    fake_activation: Fake,
) -> None:
    """No rounding is in the way there, so the straight-through estimate is exact."""
    x = torch.full((1, 7), 50.0, dtype=torch.float64)
    factor = lsq.activation_gradient(x)

    def top(s: float, beta: float) -> Tensor:
        s_, b_ = torch.tensor(s, dtype=torch.float64), torch.tensor(beta, dtype=torch.float64)
        return (255 + b_ / s_) * s_ * 7  # the zero point without its rounding

    s, beta = leaf(0.02), leaf(-1.0)  # -beta / s is whole
    torch.autograd.backward(fake_activation(x, s, beta).sum())
    h = 1e-6
    assert s.grad is not None
    assert beta.grad is not None
    d_s = (top(0.02 + h, -1.0) - top(0.02 - h, -1.0)) / (2 * h)
    d_beta = (top(0.02, -1.0 + h) - top(0.02, -1.0 - h)) / (2 * h)
    assert torch.isclose(s.grad, d_s * factor, rtol=1e-3)
    assert torch.isclose(beta.grad, d_beta * factor, rtol=1e-3)


@ACTIVATIONS
def test_an_offset_beyond_the_grid_still_learns(fake_activation: Fake) -> None:
    x, s, beta = torch.full((1, 4), -9.0).double(), leaf(0.1), leaf(2.0)
    torch.autograd.backward(fake_activation(x, s, beta).sum())
    assert beta.grad is not None
    assert beta.grad > 0


def gradients(run: Fake, *leaves: Tensor) -> tuple[Tensor, ...]:
    """Values, and gradients of a loss that weighs every value differently."""
    found = run(*leaves)
    weighed = (found * torch.linspace(-1, 2, found.numel()).view(found.shape)).sum()
    return found, *torch.autograd.grad(weighed, leaves)


@given(SEEDS, st.floats(0.001, 0.1), st.floats(-8, 8), st.sampled_from([None, 0.02]))
def test_fused_gradients_are_those_of_straight_through_estimates(
    seed: int, s: float, offset: float, ceiling: float | None
) -> None:
    """In float64, beyond all bounds too: offsets off the grid, scales above their ceiling."""
    x = (noise(seed, 3, 4, 5, 5) * 4).double().requires_grad_()
    scale, beta = leaf(s), leaf(offset)

    def straight(x: Tensor, scale: Tensor, beta: Tensor) -> Tensor:
        active = lsq.straight_through(scale, scale.clamp(SCALE_FLOOR, ceiling))
        return straight_activation(x, active, beta)

    pairs: list[tuple[Fake, Fake, tuple[Tensor, ...]]] = [
        (straight, lambda x, s, b: fake_activation(x, s, b, ceiling), (x, scale, beta)),
        (
            lambda x, s: straight(x, s, x.new_zeros(())),
            lambda x, s: fake_activation(x, s, None, ceiling),
            (x, scale),
        ),
        (straight_weight, fake_weight, (x, scale)),
    ]
    for slow, fused, leaves in pairs:
        for a, b in zip(gradients(slow, *leaves), gradients(fused, *leaves), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@given(SEEDS, st.sampled_from([torch.add, torch.mul]), st.booleans())
def test_sums_and_products_have_the_same_gradients(seed: int, join: Fake, spread: bool) -> None:
    """Of two maps, or of a map and a gate of one value per channel."""
    a = noise(seed, 3, 4, 5, 5).double().requires_grad_()
    b = noise(seed + 1, 3, 4, *((1, 1) if spread else (5, 5))).double().requires_grad_()
    leaves = (a, b, leaf(0.006), leaf(-0.7))
    slow = gradients(lambda a, b, s, o: straight_activation(join(a, b), s, o), *leaves)
    fused = gradients(lambda *leaves: fake_joined(join, *leaves), *leaves)
    for x, y in zip(slow, fused, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)


@given(SEEDS)
def test_fixed_quantisers_pass_gradients_within_their_range(seed: int) -> None:
    x = (noise(seed, 2, 3, 6, 6) * 5).double().requires_grad_()
    gate = Fixed(write=6 / 255, read=1 / 255)
    found, slope = gradients(lambda x: fake_fixed(x, gate, 3.0), x)
    plain, wanted = gradients(torch.nn.functional.hardsigmoid, x)
    assert (found - plain).abs().max() <= 0.501 / 255
    edge = ((x.abs() - 3).abs() < 6 / 255).detach()
    torch.testing.assert_close(slope.masked_fill(edge, 0), wanted.masked_fill(edge, 0))


@given(SEEDS)
def test_the_gradient_scale_does_not_count_the_batch(seed: int) -> None:
    """A loss that is a mean over images has the same gradients for twice the same images."""
    x, found = noise(seed, 4, 3, 5, 5) * 2, []
    for images in (x, torch.cat([x, x])):
        scale, beta = leaf(0.01), leaf(-0.5)
        y = fake_activation(images.double(), scale, beta).square().flatten(1).sum(1).mean()
        found.append(torch.stack(torch.autograd.grad(y, (scale, beta))))
    torch.testing.assert_close(*found)


@given(SEEDS)
def test_the_first_weight_scale_clips_nothing(seed: int) -> None:
    """The authors' starts at half of it."""
    w = noise(seed, 6, 5, 3, 3)
    quantiser = WeightQuantiser(w)
    integers = lsq.quantise_weight(w, quantiser.scale)
    assert integers.abs().max() == 127
    assert (quantiser(w) - w).abs().max() <= quantiser.scale * 0.5001


@given(SEEDS, st.sampled_from(["none", "relu", "relu6"]))
def test_a_started_quantiser_holds_its_range(seed: int, clip: Clip) -> None:
    x = noise(seed, 4, 6, 3, 3) * 4
    quantiser = ActivationQuantiser(clip)
    quantiser.start(float(x.min()), float(x.max()))
    scale, zero = quantiser.deployed()
    assert 0 <= zero <= 255
    assert zero == 0 or clip == "none"
    wanted = {"none": x, "relu": x.clamp_min(0), "relu6": x.clamp(0, 6)}[clip]
    assert (quantiser(x) - wanted).abs().max() <= scale * 1.001
    empty = ActivationQuantiser()
    empty.start(0.0, 0.0)
    assert empty.deployed() == (float(np.float32(1 / 255)), 0)


EXTREMES = [0.0, -0.0, 1e-30, -1e-30, 1e-6, -0.5, 1.0, -3.0, 1e4]


@st.composite
def norms(draw: st.DrawFn) -> Norm:
    """A batch norm of 5 channels, as extreme as broken training makes it."""
    values = st.lists(st.sampled_from(EXTREMES), min_size=5, max_size=5)
    gamma, beta, mean, var = (torch.tensor(draw(values)) for _ in range(4))
    return Norm(gamma, beta, mean, var.abs())


@given(SEEDS, norms(), st.sampled_from([1e-4, 0.02, 3.0]), st.sampled_from([0.0, 3.0]))
def test_folding_is_the_compilers(seed: int, norm: Norm, scale: float, offset: float) -> None:
    """Learned integers stay but for their sign; no scale is 0, no bias beyond int32."""
    s_x = np.float32(scale)
    integers = torch.randint(-127, 128, (5, 3, 3, 3), generator=torch.Generator().manual_seed(seed))
    found = fold(integers.float(), torch.tensor(0.01), norm, None, torch.tensor(scale), offset)
    gamma, beta, mean, var = (p.double().numpy() for p in norm[:4])
    factor = gamma / np.sqrt(var + EPSILON)
    signed = float(np.float32(0.01)) * factor
    real = integers.numpy() * signed[:, None, None, None]
    bias = beta - mean * factor + offset
    theirs = compiler_fold.to_integers(real, np.abs(signed), bias, s_x)
    assert np.array_equal(found.scale.numpy(), theirs.scale)
    assert np.array_equal(found.step.numpy(), compiler_fold.bias_scale(s_x, theirs.scale))
    assert np.array_equal(found.bias.numpy(), theirs.bias.astype(np.float32))
    assert np.array_equal(found.weight.numpy(), theirs.weight)
    check_sound(theirs, s_x)
    for channel in np.flatnonzero((np.abs(gamma) > 1e-4) & (np.abs(bias) < 1)):
        sign = int(np.sign(gamma[channel]))
        assert torch.equal(found.weight[channel], sign * integers[channel].float())
    assert not found.weight[torch.tensor(gamma) == 0].any()


@given(SEEDS)
def test_a_folded_convolution_does_what_convolution_and_norm_did(seed: int) -> None:
    c, w = 5, noise(seed, 5, 4, 3, 3)
    x, s_x = noise(seed + 1, 2, 4, 6, 6).mul(40).round(), torch.tensor(0.02)
    integers, scale = lsq.weight_steps(w, lsq.weight_scale(w))
    parts = (noise(seed + 2, c), noise(seed + 3, c), noise(seed + 4, c), noise(seed + 5, c) ** 2)
    y = torch.nn.functional.conv2d(x * s_x, integers * scale)
    expected = torch.nn.functional.batch_norm(y, parts[2], parts[3], parts[0], parts[1])
    found = fold(integers, scale, Norm(*parts), None, s_x)
    sums = torch.nn.functional.conv2d(x, found.weight, found.bias)
    off = (sums * found.step[:, None, None] - expected).abs()
    assert (off <= 0.51 * found.step[:, None, None] + 1e-4 * expected.abs().max()).all()


def test_everything_that_folds_learns() -> None:
    """A frozen batch norm: the gradient passes the roundings and the folding."""
    w, scale = noise(0, 5, 4, 1, 1).requires_grad_(), torch.tensor(0.02, requires_grad=True)
    gamma, beta = noise(1, 5).requires_grad_(), noise(2, 5).requires_grad_()
    s_x = torch.tensor(0.03, requires_grad=True)
    integers, step = lsq.weight_steps(w, scale)
    folded = fold(integers, step, Norm(gamma, beta, noise(3, 5), torch.ones(5)), None, s_x)
    y = torch.nn.functional.conv2d(noise(4, 2, 4, 3, 3).round(), folded.weight, folded.bias)
    torch.autograd.backward((y * folded.step[:, None, None]).square().sum())
    for leaf_ in (w, scale, gamma, beta, s_x):
        assert leaf_.grad is not None
        assert (leaf_.grad != 0).any()


@pytest.mark.parametrize("value", [0.5, 1.5, 2.5, -0.5])
def test_halves_round_to_even_as_onnx_runtime_rounds(value: float) -> None:
    assert float(lsq.round_ste(torch.tensor(value))) == float(np.rint(value))
