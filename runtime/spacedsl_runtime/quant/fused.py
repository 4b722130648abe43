"""Quantised values for training: a quantiser is one autograd function, of few passes over memory.

Values and gradients are those of `lsq.activation_steps` and `lsq.weight_steps`, steps times scale.
Backward computes everything again from the values before and after, which the operations around
keep anyway. Masks of truth values are avoided, since torch on a CPU is ten times slower with them
than with `hardtanh_backward`, which passes a gradient within two bounds. Nothing is read by the
host. Under torch.compile, which fuses by itself and cannot trace autograd functions whole together
with checked shapes, they are the straight-through estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spacedsl.compiler.fold import SCALE_FLOOR, WEIGHT_MAX
from spacedsl.compiler.int8 import QMAX, Fixed
from spacedsl_runtime.quant.lsq import (
    activation_gradient,
    activation_steps,
    fixed_steps,
    straight_through,
    weight_gradient,
    weight_steps,
)

Join = Callable[[Tensor, Tensor], Tensor]
"""`torch.add` or `torch.mul`."""

_within = torch.ops.aten.hardtanh_backward


def _quantise(
    x: Tensor, scale: Tensor, beta: Tensor | None, ceiling: float | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The values of x in 8 bits, the scale in use and, where there is an offset, the least step."""
    s = scale.clamp(SCALE_FLOOR, ceiling)
    y, least = (x / s).round_(), None
    if beta is None:
        y.clamp_(0, QMAX)
    else:
        least = (beta / s).round_().clamp_(-QMAX, 0)
        torch.maximum(y, least, out=y)
        torch.minimum(y, least + QMAX, out=y)
    return y.mul_(s), s, least


def _gradients(
    g: Tensor, x: Tensor, y: Tensor, s: Tensor, beta: Tensor | None, least: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of x, scale and offset, for the gradient `g` of the values y of x."""
    steps = (x / s).round_()
    if least is not None:
        steps.sub_(least)
    g_x = _within(g, steps, -0.5, QMAX + 0.5)
    factor = activation_gradient(x)
    g_s, g_beta = _by_scale(g, y, g_x, x, steps), None
    if beta is not None:
        clipped = torch.sub(g, g_x, out=steps).sum()
        g_s = g_s - beta * clipped
        g_beta = clipped * factor
    return g_x, g_s.div_(s).mul_(factor), g_beta


class _Activation(torch.autograd.Function):
    """`beta` None: an offset of 0 that is not learned."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, beta: Tensor | None, ceiling: float | None
    ) -> Tensor:
        y, s, least = _quantise(x, scale, beta, ceiling)
        ctx.save_for_backward(x, y, s, beta, least)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        return *_gradients(g, *ctx.saved_tensors), None


class _Joined(torch.autograd.Function):
    """The sum or the product of two tensors, which is not kept."""

    @staticmethod
    def forward(
        ctx: Any,
        join: Join,
        a: Tensor,
        b: Tensor,
        scale: Tensor,
        beta: Tensor | None,
        ceiling: float | None,
    ) -> Tensor:
        y, s, least = _quantise(join(a, b), scale, beta, ceiling)
        ctx.join = join
        ctx.save_for_backward(a, b, y, s, beta, least)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        a, b, *saved = ctx.saved_tensors
        g_x, g_s, g_beta = _gradients(g, ctx.join(a, b), *saved)
        g_a, g_b = (g_x, g_x) if ctx.join is torch.add else (g_x * b, g_x * a)
        return None, g_a.sum_to_size(a.shape), g_b.sum_to_size(b.shape), g_s, g_beta, None


class _Weight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        s = scale.clamp_min(SCALE_FLOOR)
        y = (weight / s).round_().clamp_(-WEIGHT_MAX, WEIGHT_MAX).mul_(s)
        ctx.save_for_backward(weight, y, s)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        weight, y, s = ctx.saved_tensors
        steps = weight / s
        bound = WEIGHT_MAX + 0.5  # which rounds to an even number, so beyond
        g_w = _within(g, steps, -bound, bound)
        g_s = _by_scale(g, y, g_w, weight, steps)
        return g_w, g_s.div_(s).mul_(weight_gradient(weight))


class _Fixed(torch.autograd.Function):
    """x + offset, written in steps of `write` and read in steps of `read`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fixed: Fixed, offset: float) -> Tensor:
        ctx.fixed, ctx.offset = fixed, offset
        ctx.save_for_backward(x)
        y = x + offset if offset else x
        low, high = -fixed.zero_point, QMAX - fixed.zero_point
        return (y / y.new_full((), fixed.write)).round_().clamp_(low, high).mul_(fixed.read)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        fixed, offset = ctx.fixed, ctx.offset
        low, high = (q - fixed.zero_point for q in (-0.5, QMAX + 0.5))
        g_x = _within(g, x, low * fixed.write - offset, high * fixed.write - offset)
        return g_x.mul_(fixed.read / fixed.write), None, None


def _by_scale(g: Tensor, y: Tensor, g_x: Tensor, x: Tensor, room: Tensor) -> Tensor:
    """The sum of g * (y - x) inside the range and of g * y outside, where `g_x` is 0: the scale
    times its gradient, but for what an offset adds. `room` is written over."""
    return torch.mul(g, y, out=room).addcmul_(g_x, x, value=-1).sum()


def fake_activation(
    x: Tensor, scale: Tensor, beta: Tensor | None = None, ceiling: float | None = None
) -> Tensor:
    """x in 8 bits as the values that its steps stand for. Same shape as x."""
    if torch.compiler.is_compiling():
        active = straight_through(scale, scale.clamp(SCALE_FLOOR, ceiling))
        return _product(activation_steps(x, active, x.new_zeros(()) if beta is None else beta))
    found: Tensor = _Activation.apply(x, scale, beta, ceiling)  # type: ignore[no-untyped-call]
    return found


def fake_joined(
    join: Join,
    a: Tensor,
    b: Tensor,
    scale: Tensor,
    beta: Tensor | None = None,
    ceiling: float | None = None,
) -> Tensor:
    """The sum or the product of a and b in 8 bits."""
    if torch.compiler.is_compiling():
        return fake_activation(join(a, b), scale, beta, ceiling)
    found: Tensor = _Joined.apply(join, a, b, scale, beta, ceiling)  # type: ignore[no-untyped-call]
    return found


def fake_weight(weight: Tensor, scale: Tensor) -> Tensor:
    """A weight, or an active part of it, as the values that its whole numbers stand for."""
    if torch.compiler.is_compiling():
        return _product(weight_steps(weight, scale))
    found: Tensor = _Weight.apply(weight, scale)  # type: ignore[no-untyped-call]
    return found


def fake_fixed(x: Tensor, fixed: Fixed, offset: float = 0.0) -> Tensor:
    """x + offset through a quantiser that no data decides."""
    if torch.compiler.is_compiling():
        return _product(fixed_steps(x + offset, fixed))
    found: Tensor = _Fixed.apply(x, fixed, offset)  # type: ignore[no-untyped-call]
    return found


def _product(found: tuple[Tensor, Tensor]) -> Tensor:
    steps, scale = found
    return steps * scale
