"""The operations of a body on explicit tensors, shared by supernet, extraction and QAT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.operators.size import Size, pair, size_of
from spacedsl.operators.window import Window
from spacedsl_runtime.errors import PlanError

ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hswish": F.hardswish,
    "swish": F.silu,
    "hsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "leaky": F.leaky_relu,
    "htanh": F.hardtanh,
    "mish": F.mish,
}
"""The activations of `spacedsl.operators.activations`."""


M = TypeVar("M", bound=nn.Module)


def channels_last(module: M) -> M:
    """`module` with its convolution weights channels last, in place."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = to_channels_last(parameter.data)
    return module


def to_channels_last(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """`x` in channels-last memory, and with strides that say so: of one channel both formats are
    the same bytes, torch takes them for channels first, and every map after them would be (a
    sandwich step of MBv3 blocks then takes twice as long)."""
    n, c, h, w = x.shape
    if c == 1:
        return x.reshape(n, h, w, c).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def activate(x: Float[Tensor, "*size"], act: str | None) -> Float[Tensor, "*size"]:
    """`x` (any shape) through an activation by its name in the language."""
    if act is None:
        return x
    if act not in ACTS:
        raise PlanError(f"unknown activation {act!r}")
    return ACTS[act](x)


def leading(x: Tensor, *sizes: int) -> Tensor:
    """The leading part of the first dimensions, as a view; `x` itself where all of it is used."""
    for dim, size in enumerate(sizes):
        if x.shape[dim] != size:
            x = x.narrow(dim, 0, size)
    return x


def active(
    weight: Float[Tensor, "O I KH KW"], cout: int, cin: int, kernel: Size
) -> Float[Tensor, "{cout} {cin} kh kw"]:
    """The leading filters and channels and the centre kernel (elastic kernels of OFA) of a weight
    (O, I, KH, KW) as one view; the weight itself where all of it is used. Where one of the two
    kernels is even, its centre is the tap that stands on the pixel: the one before the middle.

    One view, not one per dimension: the gradient of each is filled with zeros."""
    rows, columns = pair(kernel)
    if weight.shape == (cout, cin, rows, columns):
        return weight
    top, left = (
        (whole - 1) // 2 - (part - 1) // 2
        for whole, part in zip(weight.shape[2:], (rows, columns), strict=True)
    )
    if torch.compiler.is_compiling():  # which cannot trace offsets, and fuses the views
        return leading(weight, cout, cin).narrow(2, top, rows).narrow(3, left, columns)
    o, i, h, w = weight.stride()
    start = weight.storage_offset() + top * h + left * w
    return weight.as_strided((cout, cin, rows, columns), (o, i, h, w), start)


def conv2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o i kh kw"],
    bias: Tensor | None,
    window: Window,
) -> Float[Tensor, "n o h2 w2"]:
    """The convolution of x (N, C, H, W) with a window; its groups follow from the channels."""
    x, padding = padded(x, window)
    stride, dilation = pair(window.stride), pair(window.dilation)
    groups = x.shape[1] // weight.shape[1]
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def padded(
    x: Float[Tensor, "n c h w"], window: Window, value: float = 0.0
) -> tuple[Float[Tensor, "n c h2 w2"], tuple[int, int]]:
    """x (N, C, H, W) padded for a window with `value`, where both sides are not padded alike; and
    the rows and columns that are still to be padded on both sides."""
    before, after = window.pads(size_of(*x.shape[2:]))
    if before == after:
        return x, pair(before)
    return wholly_padded(x, window, value), (0, 0)


def wholly_padded(
    x: Float[Tensor, "n c h w"], window: Window, value: float = 0.0
) -> Float[Tensor, "n c h2 w2"]:
    """x (N, C, H, W) with all that a window reads beside it, so that nothing is left to pad."""
    (top, left), (bottom, right) = map(pair, window.pads(size_of(*x.shape[2:])))
    return F.pad(x, (left, right, top, bottom), value=value)


def pool2d(x: Float[Tensor, "n c h w"], kind: str, window: Window) -> Float[Tensor, "n c h2 w2"]:
    """Pooling of x (N, C, H, W) with a window; averages count no padding."""
    kernel, stride = pair(window.kernel), pair(window.stride)
    if kind == "maxpool":
        x, padding = padded(x, window, float("-inf"))
        return F.max_pool2d(x, kernel, stride, padding)
    wider, padding = padded(x, window)
    if wider is x:
        return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)
    counted, _ = padded(torch.ones_like(x[:1, :1]), window)
    return F.avg_pool2d(wider, kernel, stride) / F.avg_pool2d(counted, kernel, stride)


def space_to_depth(x: Float[Tensor, "n c h w"], block: int) -> Float[Tensor, "n c2 h2 w2"]:
    """(N, C, H, W) -> (N, b b C, H / b, W / b): row in the block, column, channel."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return to_channels_last(parts.reshape(n, block * block * c, h // block, w // block))


def upsampled(x: Float[Tensor, "n c h w"], times: Size) -> Float[Tensor, "n c h2 w2"]:
    """x (N, C, H, W) with every pixel so many times down and across."""
    rows, columns = pair(times)
    return F.interpolate(x, scale_factor=(float(rows), float(columns)), mode="nearest")


def shuffled(x: Float[Tensor, "n c h w"], groups: int) -> Float[Tensor, "n c h w"]:
    """x (N, C, H, W) with the first channel of every group first, then the second of every one."""
    return to_channels_last(F.channel_shuffle(x, groups))


def global_pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
    """(N, C, H, W) -> (N, C, 1, 1)."""
    return F.adaptive_avg_pool2d(x, 1)


def gated(x: Float[Tensor, "n c h w"], gate: Float[Tensor, "n c 1 1"]) -> Float[Tensor, "n c h w"]:
    """x (N, C, H, W) times gate (N, C, 1, 1)."""
    return x * gate
