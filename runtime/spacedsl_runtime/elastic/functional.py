"""The operations of a body on explicit tensors, shared by supernet, extraction and QAT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.passes.bind import same_pads
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
    weight: Float[Tensor, "O I K K"], cout: int, cin: int, kernel: int
) -> Float[Tensor, "{cout} {cin} {kernel} {kernel}"]:
    """The leading filters and channels and the centre kernel (elastic kernels of OFA) of a weight
    (O, I, K, K) as one view; the weight itself where all of it is used.

    One view, not one per dimension: the gradient of each is filled with zeros."""
    if weight.shape[:3] == (cout, cin, kernel):
        return weight
    edge = (weight.shape[-1] - kernel) // 2
    if torch.compiler.is_compiling():  # which cannot trace offsets, and fuses the views
        return leading(weight, cout, cin).narrow(2, edge, kernel).narrow(3, edge, kernel)
    o, i, h, w = weight.stride()
    start = weight.storage_offset() + edge * (h + w)
    return weight.as_strided((cout, cin, kernel, kernel), (o, i, h, w), start)


def pool2d(
    x: Float[Tensor, "n c h h"], kind: str, kernel: int, stride: int
) -> Float[Tensor, "n c -(-h//{stride}) -(-h//{stride})"]:
    """ "Same" pooling of x (N, C, H, W); averages count no padding."""
    size = x.shape[-1]
    before, after = same_pads(size, -(-size // stride), kernel, stride)
    if kind == "maxpool":
        if before == after:
            return F.max_pool2d(x, kernel, stride, before)
        padded = F.pad(x, (before, after, before, after), value=float("-inf"))
        return F.max_pool2d(padded, kernel, stride)
    if before == after:
        return F.avg_pool2d(x, kernel, stride, before, count_include_pad=False)
    pads = (before, after, before, after)
    share = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), pads), kernel, stride)
    return F.avg_pool2d(F.pad(x, pads), kernel, stride) / share


def shuffled(x: Float[Tensor, "n c h w"], groups: int) -> Float[Tensor, "n c h w"]:
    """x (N, C, H, W) with the first channel of every group first, then the second of every one."""
    return to_channels_last(F.channel_shuffle(x, groups))


def global_pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
    """(N, C, H, W) -> (N, C, 1, 1)."""
    return F.adaptive_avg_pool2d(x, 1)


def gated(x: Float[Tensor, "n c h w"], gate: Float[Tensor, "n c 1 1"]) -> Float[Tensor, "n c h w"]:
    """x (N, C, H, W) times gate (N, C, 1, 1)."""
    return x * gate
