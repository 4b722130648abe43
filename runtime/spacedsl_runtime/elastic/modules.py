"""Weights of the largest sizes, run on their leading channels and centre kernels.

What is active is an argument of every call (a `Layer` of the program); modules hold weights only.
Slices are views, and none is taken where all of a weight is in use."""

from __future__ import annotations

from math import sqrt
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.operators.size import Size, pair
from spacedsl.passes.program import Layer, se_layers
from spacedsl_runtime.elastic.functional import (
    activate,
    active,
    conv2d,
    gated,
    global_pool,
    leading,
)

EPSILON = 1e-5
MOMENTUM = 0.1


class ElasticNorm(nn.Module):
    """Batch norm over the leading channels. Running statistics are shared by all subnets, so one
    subnet's must be re-calibrated before it is evaluated (`recalibrate`). A batch of one value per
    channel (an image on a map of 1 x 1) has no variance: the running statistics serve then."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.momentum = MOMENTUM
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Any number of leading channels c."""
        c = x.shape[1]
        return F.batch_norm(
            x,
            leading(self.running_mean, c),
            leading(self.running_var, c),
            leading(self.weight, c),
            leading(self.bias, c),
            self.training and several_values(x),
            self.momentum,
            EPSILON,
        )


def several_values(x: Tensor) -> bool:
    """Has x (N, C, H, W) more than one value per channel, whose variance is known then?"""
    return x.shape[0] * x.shape[2] * x.shape[3] > 1


class ElasticConv(nn.Module):
    """A convolution with norm or bias. A weight is (max_cout, max_fan, KH, KW). A filter reads
    `fan` channels: all of them, or those of its group, or in a depthwise convolution one. A stack
    of convolutions has `parts` weights."""

    bias: nn.Parameter | None

    def __init__(self, shape: tuple[int, int, Size], parts: int = 1) -> None:
        super().__init__()
        cout, fan, kernel = shape
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(cout, fan, *pair(kernel))) for _ in range(parts)
        )
        self.norm: ElasticNorm | None = None
        self.register_parameter("bias", None)

    def with_norm(self, norm: bool, bias: bool) -> ElasticConv:
        """The same with batch norm and bias as asked for."""
        cout = self.weights[0].shape[0]
        self.norm = ElasticNorm(cout) if norm else None
        self.register_parameter("bias", nn.Parameter(torch.zeros(cout)) if bias else None)
        return self

    def of_ones(self) -> ElasticConv:
        """The same with weights of 1 that are not trained."""
        for weight in self.weights:
            weight.requires_grad_(False).fill_(1.0)
        return self

    def whole(self, part: int) -> Tensor:
        """The weight of the largest layer."""
        return cast(Tensor, self.weights[part])

    def weight_of(self, layer: Layer) -> Tensor:
        """The active weight (cout, cin per group, kh, kw), a view."""
        return active(self.weights[layer.part], layer.cout, layer.fan_in, layer.kernel)

    def bias_of(self, layer: Layer) -> Tensor | None:
        """The active bias (cout,), or None."""
        if self.bias is None or not layer.bias:
            return None
        return leading(self.bias, layer.cout)

    def norm_of(self, layer: Layer) -> ElasticNorm | None:
        """The norm after a layer, or None."""
        return self.norm if layer.norm else None

    def forward(
        self, x: Float[Tensor, "n {layer.cin} h w"], layer: Layer
    ) -> Float[Tensor, "n {layer.cout} h2 w2"]:
        """Norm and activation included."""
        x = conv2d(x, self.weight_of(layer), self.bias_of(layer), layer.window)
        norm = self.norm_of(layer)
        return activate(x if norm is None else norm(x), layer.act)


class ElasticSe(nn.Module):
    """Squeeze and excitation: pool, conv1x1 + act, conv1x1 + gate, multiply."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = ElasticConv((squeeze, channels, 1)).with_norm(False, True)
        self.excite = ElasticConv((channels, squeeze, 1)).with_norm(False, True)

    def forward(self, x: Float[Tensor, "n c h w"], layer: Layer) -> Float[Tensor, "n c h w"]:
        """x times the gate of each channel."""
        squeeze, excite = se_layers(layer)
        return gated(x, self.excite(self.squeeze(global_pool(x), squeeze), excite))


class ElasticLinear(nn.Module):
    """The classifier over the leading inputs: weight (classes, max_cin), bias (classes,)."""

    def __init__(self, cin: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, cin))
        self.bias = nn.Parameter(torch.zeros(classes))

    def weight_of(self, layer: Layer) -> Tensor:
        """The active weight (classes, cin), a view."""
        return leading(self.weight, layer.cout, layer.cin)

    def forward(
        self, x: Float[Tensor, "n {layer.cin} 1 1"], layer: Layer
    ) -> Float[Tensor, "n {layer.cout}"]:
        """Logits."""
        return F.linear(x.flatten(1), self.weight_of(layer), self.bias)


def initialise(module: nn.Module, seed: int) -> None:
    """He initialisation (fan-in) of every weight of four dimensions that is trained,
    1 / sqrt(fan-in) of a linear one; biases 0, norms the identity. The same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() < 2 or not parameter.requires_grad:
                continue
            gain = 2.0 if parameter.dim() == 4 else 1.0
            fan_in = parameter[0].numel()
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * sqrt(gain / fan_in))
