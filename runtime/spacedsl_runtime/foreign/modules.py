"""PyTorch's modules and functions in the words of the language."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.fold import affine
from spacedsl.ir.block import MAX_KERNEL
from spacedsl.operators.size import Size, as_map, pair, size_of
from spacedsl.operators.window import Window
from spacedsl_runtime.elastic.modules import EPSILON
from spacedsl_runtime.elastic.weights import Arrays

FUNCTIONS: dict[Any, str] = {
    F.relu: "relu",
    torch.relu: "relu",
    F.relu6: "relu6",
    F.silu: "swish",
    F.hardswish: "hswish",
    F.hardsigmoid: "hsigmoid",
    F.sigmoid: "sigmoid",
    torch.sigmoid: "sigmoid",
    F.mish: "mish",
    "relu": "relu",
    "relu_": "relu",
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
}
"""Functions, and names of methods, that are activations."""

MODULES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "swish",
    nn.Hardswish: "hswish",
    nn.Hardsigmoid: "hsigmoid",
    nn.Sigmoid: "sigmoid",
    nn.Mish: "mish",
}

CONCATS = {torch.cat, torch.concat, torch.concatenate}
ADDS = {operator.add, operator.iadd, torch.add, "add", "add_"}
PRODUCTS = {operator.mul, operator.imul, torch.mul, "mul", "mul_"}
FLATTENS = {torch.flatten, "flatten"}
MEANS = {torch.mean, "mean"}

NO_KERNELS = "has no integer kernels in these runtimes"
ATTENTIONS = ("BottleneckAttn", "HaloAttn", "LambdaLayer", "NonLocalAttn", "BatNonLocalAttn")
"""timm's modules of attention that do not say so in full."""

BLUR = "a blur by a filter that is not learned, over mirrored edges, is not in the language"
ATTENTION, NORM = f"attention {NO_KERNELS}", f"layer norm {NO_KERNELS}; batch norm has"
OF_GROUPS = f"group norm {NO_KERNELS}; batch norm has"
BRANCHES = (
    "a concat joins paths from one tensor in the language, and those that begin alike stand side "
    "by side"
)
REASONS = {
    "layer_norm": NORM,
    "scaled_dot_product_attention": ATTENTION,
    "softmax": ATTENTION,
}
"""Functions that the language cannot say, and why. They are reported even where what they read is
an error already."""

SPLIT = (
    "a split is in equal parts, all of which are joined again in their order, in the language; one "
    "whose bodies are `conv 1x1` to any widths says other parts, and is trained anew"
)

GATES = (
    "of products the language has squeeze and excitation: two convolutions 1x1, or one behind an "
    "activation that is never below 0; exchange the gate for `se`"
)


def refused(module: nn.Module) -> str | None:
    """Why a kind of module cannot be said, None for those that may be."""
    name = type(module).__name__
    if isinstance(module, nn.MultiheadAttention) or name in ATTENTIONS:
        return ATTENTION
    if "attention" in name.lower():
        return ATTENTION
    if isinstance(module, nn.LayerNorm) or "LayerNorm" in name or "RmsNorm" in name:
        return NORM
    if isinstance(module, nn.GroupNorm):
        return OF_GROUPS
    if name == "BlurPool2d":
        return BLUR
    return None


def activation(module: nn.Module) -> str | None:
    """The activation that a module is, None for any other module."""
    word = MODULES.get(type(module))
    if word is not None:
        return word
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else None
    if isinstance(module, nn.LeakyReLU):
        return "leaky" if module.negative_slope == 0.01 else None
    if isinstance(module, nn.Hardtanh):
        return "htanh" if (module.min_val, module.max_val) == (-1, 1) else None
    return None


def conv_window(conv: nn.Conv2d, size: Sequence[int], out: Sequence[int]) -> Window | str:
    """The window of a convolution from a map of `size` to one of `out`, or why it cannot be
    said."""
    if type(conv).forward is not nn.Conv2d.forward and "Same" not in type(conv).__name__:
        return f"{type(conv).__name__} computes more than a convolution"
    if max(conv.kernel_size) > MAX_KERNEL:
        return f"a kernel of {max(conv.kernel_size)} is larger than {MAX_KERNEL}"
    if "Same" in type(conv).__name__:
        return (
            "TensorFlow pads more after than before where it strides, which the language does "
            "not; networks whose name has no tf_ pad alike"
        )
    kernel, step, apart = (
        size_of(*map(int, side)) for side in (conv.kernel_size, conv.stride, conv.dilation)
    )
    window = Window(kernel, step, apart)
    if conv.padding_mode == "zeros":
        for one in (window, window._replace(valid=True)):
            if _fits(one, conv.padding, size_of(*size), size_of(*out)):
                return one
    before, after = window.pads(size_of(*size))
    return (
        f"a convolution {as_map(kernel)} here is padded by {before} before and {after} behind, or "
        "not at all"
    )


def _fits(window: Window, padding: Any, size: Size, out: Size) -> bool:
    """Whether a window stands where PyTorch's does, which is padded alike on both sides."""
    if padding == "valid":
        return window.valid
    if padding == "same":
        return window.stride == 1 and not window.valid and all(k % 2 for k in pair(window.reach))
    said = size_of(*padding) if isinstance(padding, tuple) else padding
    try:
        return window.pads(size)[0] == said and window.output(size) == out
    except ValueError:
        return False


def pool_window(pool: nn.MaxPool2d | nn.AvgPool2d, size: int, out: int) -> Window | str:
    """The window of a pool from `size` pixels to `out`, or why it cannot be said."""
    kernel, stride, padding = map(_square, (pool.kernel_size, pool.stride, pool.padding))
    if None in (kernel, stride, padding) or _square(getattr(pool, "dilation", 1)) != 1:
        return "pools that are not square or dilated are not in the language"
    if isinstance(pool, nn.AvgPool2d) and pool.count_include_pad and padding:
        return "an average in the language does not count what is padded"
    plain = Window(kernel or 1, stride or 1)
    for window in (plain, plain._replace(valid=True)):
        before, after = window.pads(size)
        fits = size >= pair(window.kernel)[0] and (before, out) == (padding, window.output(size))
        if fits and (after == padding or pool.ceil_mode):
            return window
    before, after = plain.pads(size)
    kind = "maxpool" if isinstance(pool, nn.MaxPool2d) else "avgpool"
    said = f"a {kind} of {kernel}x{kernel} pads {before} and {after}, or nothing, in the language"
    if pool.ceil_mode and not padding:
        more = (size - (kernel or 1)) % (stride or 1)
        said += (
            f"; its `ceil_mode` pads the end alone, and nothing where windows fill the map: {size} "
            f"pixels are {more} too many, so choose another resolution (--at)"
        )
    return said


def _square(value: Any) -> int | None:
    """The number that is said of rows and columns, None where there are two."""
    sides = set(value) if isinstance(value, tuple) else {value}
    return int(sides.pop()) if len(sides) == 1 else None


def pool_called(
    function: object, args: Sequence[Any], more: Mapping[str, Any]
) -> nn.MaxPool2d | nn.AvgPool2d | None:
    """The module that does what a function called so does to a tensor; None for one that pools
    nothing."""
    if function is F.avg_pool2d:
        return nn.AvgPool2d(*args, **more)
    if function is F.max_pool2d:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        return nn.MaxPool2d(**dict(zip(names, args, strict=False)), **more)
    return None


def is_depthwise(conv: nn.Conv2d) -> bool:
    """One filter per channel."""
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def conv_arrays(conv: nn.Conv2d) -> Arrays:
    """Weight, and bias where there is one."""
    found = {"weight": conv.weight.detach()}
    return found if conv.bias is None else found | {"bias": conv.bias.detach()}


def norm_arrays(norm: nn.Module) -> Arrays:
    """The arrays of a batch norm for the epsilon of ours. The variance takes up the difference of
    the two epsilons. Where it would fall below zero, gamma takes up the rest."""
    mean = cast(Tensor, norm.running_mean).detach()
    real = cast(Tensor, norm.running_var).detach().double() + float(cast(Any, norm).eps)
    var = (real - EPSILON).clamp_min(0.0).float()
    plain = torch.ones_like(mean)
    weight, bias = cast(Any, norm).weight, cast(Any, norm).bias
    gamma = plain if weight is None else weight.detach()
    factor = torch.sqrt((var.double() + EPSILON) / real).float()
    return {
        "gamma": gamma * factor,
        "beta": torch.zeros_like(mean) if bias is None else bias.detach(),
        "mean": mean,
        "var": var,
    }


def norm_fault(norm: nn.BatchNorm2d) -> str | None:
    """Why a batch norm cannot be said, None where it can."""
    if norm.running_mean is None:
        return "a batch norm has running statistics in the language"
    known = type(norm).forward is nn.BatchNorm2d.forward or type(norm).__name__ == "BatchNormAct2d"
    return None if known else f"{type(norm).__name__} computes more than a batch norm"


def folded(arrays: Arrays) -> Arrays:
    """A convolution with its batch norm folded into weight and bias, which is there then."""
    weight = arrays["weight"]
    shift = arrays.get("bias", torch.zeros(weight.shape[0]))
    if "gamma" in arrays:
        gamma, beta, mean, var = (arrays[name] for name in ("gamma", "beta", "mean", "var"))
        factor, shift = affine(gamma, beta, mean, torch.sqrt(var + EPSILON), shift)
        weight = weight * factor[:, None, None, None]
    return {"weight": weight, "bias": shift}


def linear_arrays(weight: Tensor, bias: Tensor | None) -> Arrays:
    """A classifier's, as a convolution 1x1."""
    shift = torch.zeros(weight.shape[0]) if bias is None else bias.detach()
    return {"weight": weight.detach()[:, :, None, None], "bias": shift}
