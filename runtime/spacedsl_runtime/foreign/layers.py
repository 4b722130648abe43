"""Operations on one tensor as steps: convolutions, norms, activations, pools, the classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from spacedsl.ir.block import Conv, Dropout, DwConv, GlobalPool, Linear, Pool
from spacedsl.ir.expr import Num
from spacedsl_runtime.elastic.modules import EPSILON
from spacedsl_runtime.foreign.modules import (
    activation,
    conv_arrays,
    conv_window,
    is_depthwise,
    norm_arrays,
    norm_fault,
    pool_window,
)
from spacedsl_runtime.foreign.steps import Joined, Step
from spacedsl_runtime.foreign.values import Value
from spacedsl_runtime.foreign.walk import Walk


def convolution(walk: Walk, node: fx.Node, value: Value, conv: nn.Conv2d) -> Value | None:
    """A convolution, as it stands."""
    sizes = walk.shapes[node.args[0]][2:], walk.shapes[node][2:]  # type: ignore[index]
    window = conv_window(conv, *sizes)
    if isinstance(window, str):
        walk.refuse(node, window)
        return None
    said: dict[str, Any] = {
        "kernel": Num(value=window.kernel),
        "dilation": Num(value=window.dilation),
        "stride": window.stride,
        "valid": window.valid,
        "norm": False,
        "bias": conv.bias is not None,
    }
    op: Conv | DwConv = DwConv(**said)
    if not is_depthwise(conv):
        width, groups = Num(value=conv.out_channels), Num(value=conv.groups)
        op = Conv(**said, width=width, groups=groups)
    widths = (conv.in_channels, conv.out_channels)
    step = Step(op, str(node.target), *widths, (conv_arrays(conv),))
    return walk.after(node, value, step)


def norm(walk: Walk, node: fx.Node, value: Value, norm: nn.BatchNorm2d) -> Value | None:
    """A batch norm: part of the convolution before it, or a step of its own."""
    step, inner = value.doing, getattr(norm, "act", nn.Identity())
    act, fault = activation(inner), norm_fault(norm)
    if act is None and not isinstance(inner, nn.Identity):
        fault = f"{type(inner).__name__} has no counterpart in the language"
    elif fault is None and isinstance(step, Step) and isinstance(step.op, Conv | DwConv):
        plain = not step.op.norm and not step.op.act
        if plain and walk.alone(node):
            op = step.op.model_copy(update={"norm": True, "act": act})
            arrays = {**step.arrays[0], **norm_arrays(norm)}
            return replace(value, doing=replace(step, op=op, arrays=(arrays,)))
    if fault is not None:
        walk.refuse(node, fault)
        return None
    return walk.after(node, value, _lone(value, str(node.target), act, norm))


def _lone(value: Value, path: str, act: str | None, norm: nn.Module) -> Step:
    """A batch norm alone, as a depthwise convolution of one pixel."""
    arrays = {"weight": torch.ones(value.channels, 1, 1, 1), **norm_arrays(norm)}
    op = DwConv(kernel=Num(value=1), act=act, ones=True)
    return Step(op, path, value.channels, value.channels, (arrays,))


def activation_of(walk: Walk, node: fx.Node, value: Value, act: str) -> Value | None:
    """An activation, which belongs to what stands before it; alone it has a batch norm that changes
    nothing."""
    step = value.doing
    if walk.alone(node):
        if isinstance(step, Joined) and step.act is None:
            return replace(value, doing=replace(step, act=act))
        if isinstance(step, Step) and isinstance(step.op, Conv | DwConv) and not step.op.act:
            op = step.op.model_copy(update={"act": act})
            return replace(value, doing=replace(step, op=op))
    plain = nn.BatchNorm2d(value.channels, eps=EPSILON)
    plain.running_var = 1 - EPSILON * torch.ones(value.channels)
    return walk.after(node, value, _lone(value, walk.path(node), act, plain))


def pool(
    walk: Walk, node: fx.Node, value: Value, kind: Any, pool: nn.MaxPool2d | nn.AvgPool2d
) -> Value | None:
    """A pool of windows."""
    window = pool_window(pool, walk.shapes[node.args[0]][2], walk.shapes[node][2])  # type: ignore[index]
    if isinstance(window, str):
        walk.refuse(node, window)
        return None
    kernel = Num(value=window.kernel)
    op = Pool(op=kind, kernel=kernel, stride=window.stride, valid=window.valid)
    return walk.weightless(node, value, op)


def global_pool(walk: Walk, node: fx.Node, value: Value, kind: str) -> Value | None:
    """The average of the whole map; `kind`: what is taken there."""
    if kind != "avg" or max(walk.shapes[node][2:], default=1) > 1:
        walk.refuse(node, f"a global pool is an average to 1 x 1 in the language, not {kind!r}")
        return None
    return walk.weightless(node, value, GlobalPool())


def flat(walk: Walk, node: fx.Node, value: Value) -> Value | None:
    """A pooled map as a vector."""
    if walk.shapes[node][1] != value.channels:
        walk.refuse(node, "a classifier reads a pooled 1 x 1 map in the language")
        return None
    return walk.same(node, value)


def dropout(walk: Walk, node: fx.Node, value: Value, rate: float) -> Value:
    """Dropout, nothing where its rate is 0."""
    if not rate:
        return walk.same(node, value)
    return walk.weightless(node, value, Dropout(rate=rate))


def linear(walk: Walk, node: fx.Node, value: Value, classes: int, arrays: Any) -> Value | None:
    """The classifier."""
    if len(walk.shapes[node]) != 2:
        walk.refuse(node, "a linear layer is a classifier of pooled maps in the language")
        return None
    step = Step(Linear(classes=classes), walk.path(node), value.channels, classes, (arrays,))
    return walk.after(node, value, step)
