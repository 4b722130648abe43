"""PyTorch's modules and functions in the words of the language."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.fold import affine
from spacedsl.ir.block import MAX_KERNEL
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

NO_KERNELS = "has no integer kernels in these runtimes"
ATTENTION, NORM = f"attention {NO_KERNELS}", f"layer norm {NO_KERNELS}; batch norm has"
OF_GROUPS = f"group norm {NO_KERNELS}; batch norm has"
BRANCHES = "parallel branches that are joined otherwise than by a sum are not in the language"


def refused(module: nn.Module) -> str | None:
    """Why a kind of module cannot be said, None for those that may be."""
    name = type(module).__name__
    if isinstance(module, nn.MultiheadAttention) or "attention" in name.lower():
        return ATTENTION
    if isinstance(module, nn.LayerNorm) or "LayerNorm" in name or "RmsNorm" in name:
        return NORM
    if isinstance(module, nn.GroupNorm):
        return OF_GROUPS
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


def conv_fault(conv: nn.Conv2d) -> str | None:
    """Why a convolution cannot be said, None where it can."""
    kernels, steps, dilations = set(conv.kernel_size), set(conv.stride), set(conv.dilation)
    if len(kernels) > 1 or len(steps) > 1:
        return "height and width apart are not in the language"
    kernel = kernels.pop()
    if dilations != {1}:
        return "dilation is not in the language"
    if kernel % 2 == 0:
        return f"a convolution {kernel}x{kernel} is not in the language: kernels are odd"
    if kernel > MAX_KERNEL:
        return f"a kernel of {kernel} is larger than {MAX_KERNEL}"
    if "Same" in type(conv).__name__:
        return (
            "TensorFlow pads more after than before where it strides, which the language does "
            "not; networks whose name has no tf_ pad alike"
        )
    if type(conv).forward is not nn.Conv2d.forward:
        return f"{type(conv).__name__} computes more than a convolution"
    if conv.padding_mode != "zeros" or not _pads(conv.padding, kernel // 2):
        return f"a convolution {kernel}x{kernel} here is padded by {kernel // 2} on every side"
    return None


def _pads(padding: Any, wanted: int) -> bool:
    return padding == "same" or {*(padding if isinstance(padding, tuple) else (padding,))} == {
        wanted
    }


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
