"""QAT: the same supernet with a fake quantiser on every tensor that a runtime keeps in 8 bits.

`acts` are a target's rules (`spacedsl.targets.rules`): how each activation is said with integer
kernels. The set of 8-bit tensors follows from them as in `spacedsl.compiler.int8`: every
convolution, linear layer, pool, add and product has one quantiser, a relu is the clip of the
quantiser before it, hard-sigmoid and sigmoid have fixed ones. Max-pool shares its input's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacedsl_runtime.elastic.functional import global_pool, pool2d
from spacedsl_runtime.elastic.interpreter import run
from spacedsl_runtime.elastic.modules import (
    EPSILON,
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
    ElasticSe,
    se_layers,
)
from spacedsl_runtime.elastic.supernet import Supernet
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.program import Layer, Program, Residual, Step
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.quant.fold import Norm, affine
from spacedsl_runtime.quant.lsq import SCALE_FLOOR, bias_to_grid, round_ste
from spacedsl_runtime.subnet import Subnet

Rewrite = Literal["saturate", "gate", "table", "gated-product", "table-product", "float"]

RELU6_SCALE = 6 / 255


class Edge(NamedTuple):
    """A tensor (N, C, H, W) in 8 bits and the scale its readers use, a scalar."""

    value: Tensor
    scale: Tensor


def fused(program: Program) -> Program:
    """An activation of its own as that of the convolution right before it: the integer runtime
    has one tensor there."""
    steps: list[Step] = []
    for step in program:
        before = steps[-1] if steps else None
        alone = isinstance(step, Layer) and step.kind == "act"
        weighted = isinstance(before, Layer) and before.kind in ("conv", "dwconv")
        if alone and weighted and isinstance(before, Layer) and before.act is None:
            steps[-1] = replace(before, act=cast(Layer, step).act)
        elif isinstance(step, Residual):
            steps.append(replace(step, main=fused(step.main), shortcut=fused(step.shortcut)))
        else:
            steps.append(step)
    return tuple(steps)


class QatSupernet(nn.Module):
    """`qat(x, subnet)` as `supernet(x, subnet)`, quantised. Call `start` once, before the
    optimiser is made. In eval mode biases lie on the int32 grid s_x * s_w of each channel."""

    def __init__(self, supernet: Supernet, acts: Mapping[str, Rewrite]) -> None:
        super().__init__()
        self.supernet = supernet
        self.acts = dict(acts)
        self.edges = nn.ModuleDict()
        self.scales = nn.ModuleDict()
        self._ranges: dict[str, tuple[float, float]] | None = None

    def start(self, subnets: Sequence[Subnet], images: Sequence[Tensor]) -> None:
        """Make the quantisers of every tensor that `subnets` have, from the ranges on `images`
        (one batch (N, C, R, R) per subnet) in FP32 with the batch's own statistics."""
        self._ranges = {}
        mode = self.training
        self.supernet.train()
        try:
            with torch.no_grad():
                for subnet, batch in zip(subnets, images, strict=True):
                    self(batch, subnet)
            for name, (low, high) in self._ranges.items():
                clipped, six = "relu" in name.split("-"), "relu6" in name.split("-")
                quantiser = ActivationQuantiser(clipped or six, RELU6_SCALE if six else None)
                quantiser.start(torch.tensor([low, min(high, 6.0) if six else high]))
                self.edges[name] = quantiser
        finally:
            self._ranges = None
            self.train(mode)

    def forward(self, x: Tensor, subnet: Subnet) -> Tensor:
        """(N, channels, R, R) -> (N, classes)."""
        x = x.contiguous(memory_format=torch.channels_last)
        program = fused(self.supernet.program(subnet))
        return run(program, self._edge("input", x), self._layer, self._add).value

    def _edge(self, name: str, x: Tensor, clip: str = "") -> Edge:
        """x in 8 bits; `clip` (relu, relu6) is applied by the quantiser itself."""
        key = name.replace(".", "_") + (f"-{clip}" if clip else "")
        if self._ranges is not None:
            low, high = self._ranges.get(key, (0.0, 0.0))
            self._ranges[key] = (min(low, float(x.min())), max(high, float(x.max())))
            clipped = x.clamp(0, 6) if clip == "relu6" else x.clamp_min(0) if clip else x
            return Edge(clipped, torch.ones(()))
        if key not in self.edges:
            raise SubnetError(f"no quantiser for {name}: start QAT with a subnet that has it")
        quantiser = cast(ActivationQuantiser, self.edges[key])
        return Edge(quantiser(x), quantiser.active_scale())

    def _fixed(self, x: Tensor, write: float, read: float) -> Edge:
        """A quantiser that no data decides, zero point 0."""
        if self._ranges is not None:
            return Edge(x.clamp(0, 255 * write) * (read / write), torch.ones(()))
        steps = round_ste(x / write).clamp(0, 255)
        return Edge(steps * read, torch.tensor(read))

    def _act(self, name: str, x: Tensor, act: str | None) -> Edge:
        """The result x of an op with its own scale, through its activation."""
        if act is None:
            return self._edge(name, x)
        match self.acts.get(act):
            case "saturate":
                return self._edge(name, x, act)
            case "gate":
                return self._fixed(x + 3, 6 / 255, 1 / 255)
            case "table":
                return self._fixed(torch.sigmoid(self._edge(name, x).value), 1 / 256, 1 / 256)
            case "gated-product":
                before = self._edge(name, x)
                gate = self._fixed(before.value + 3, 6 / 255, 1 / 255)
                return self._edge(f"{name}.{act}", before.value * gate.value)
            case "table-product":
                before = self._edge(name, x)
                gate = self._fixed(torch.sigmoid(before.value), 1 / 256, 1 / 256)
                return self._edge(f"{name}.{act}", before.value * gate.value)
            case "float" if act == "hswish":
                before = self._edge(name, x)
                return self._edge(f"{name}.{act}", F.hardswish(before.value))
            case _:
                raise PlanError(f"the target has no 8-bit form of the activation {act}")

    def _add(self, step: Residual, main: Edge, shortcut: Edge) -> Edge:
        total = main.value + shortcut.value
        if self.acts.get(step.act or "") == "gate":  # only a convolution's bias can hold its 3
            total = self._edge(step.name, total).value
        return self._act(step.name, total, step.act)

    def _layer(self, layer: Layer, x: Edge) -> Edge:
        match layer.kind:
            case "pool":
                return self._edge(layer.name, global_pool(x.value))
            case "maxpool":
                return Edge(pool2d(x.value, "maxpool", layer.kernel, layer.stride), x.scale)
            case "avgpool":
                pooled = pool2d(x.value, "avgpool", layer.kernel, layer.stride)
                return self._edge(layer.name, pooled)
            case "dropout":
                rate, training = layer.rate, self.training and self._ranges is None
                return Edge(F.dropout(x.value, rate, training), x.scale)
            case "act":
                return self._act(layer.name, x.value, layer.act)
            case "se":
                return self._se(layer, x)
            case "linear":
                return self._linear(layer, x)
            case _:
                conv = cast(ElasticConv, self.supernet.weights_at(layer))
                return self._conv(conv, layer, x)

    def _se(self, layer: Layer, x: Edge) -> Edge:
        se = cast(ElasticSe, self.supernet.weights_at(layer))
        squeeze, excite = se_layers(layer)
        gate = self._edge(f"{layer.name}.pool", global_pool(x.value))
        gate = self._conv(se.excite, excite, self._conv(se.squeeze, squeeze, gate))
        return self._edge(f"{layer.name}.mul", x.value * gate.value)

    def _weight(self, name: str, whole: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """The active weight in 8 bits, and its scale."""
        key = name.replace(".", "_")
        if self._ranges is not None:
            if key not in self.scales:
                self.scales[key] = WeightQuantiser(whole)
            return active, torch.ones(())
        if key not in self.scales:
            raise SubnetError(f"no quantiser for {name}: start QAT with a subnet that has it")
        quantiser = cast(WeightQuantiser, self.scales[key])
        return quantiser(active), quantiser.scale.clamp_min(SCALE_FLOOR)

    def _conv(self, conv: ElasticConv, layer: Layer, x: Edge) -> Edge:
        """(N, cin, H, W) -> (N, cout, H', W')."""
        weight, scale = self._weight(layer.name, conv.weights[layer.part], conv.weight_of(layer))
        groups = layer.cin if conv.depthwise else 1
        y = F.conv2d(x.value, weight, None, layer.stride, layer.kernel // 2, groups=groups)
        norm = conv.norm if layer.norm else None
        bias = conv.bias_of(layer)
        if norm is not None and self.supernet.training:
            return self._act(layer.name, norm(y), layer.act)
        y = _affine(y, norm, bias, x.scale * scale, exact=self._ranges is not None)
        return self._act(layer.name, y, layer.act)

    def _linear(self, layer: Layer, x: Edge) -> Edge:
        linear = cast(ElasticLinear, self.supernet.weights_at(layer))
        weight, scale = self._weight(layer.name, linear.weight, linear.weight_of(layer))
        bias: Tensor = linear.bias
        if self._ranges is None:
            bias = bias_to_grid(bias, x.scale * scale)
        return self._edge(layer.name, F.linear(x.value.flatten(1), weight, bias))


def _affine(
    y: Tensor, norm: ElasticNorm | None, bias: Tensor | None, step: Tensor, exact: bool
) -> Tensor:
    """y (N, C, H, W) through norm and bias as at inference; the sum of both on the int32 grid
    step * |factor| of each channel, unless `exact`."""
    c = y.shape[1]
    folded = None
    if norm is not None:
        mean, var = norm.running_mean[:c], norm.running_var[:c]
        folded = Norm(norm.weight[:c], norm.bias[:c], mean, var, EPSILON)
    factor, shift = affine(folded, bias, y.new_zeros(c))
    if not exact:
        shift = bias_to_grid(shift, (step * factor.abs()).clamp_min(SCALE_FLOOR))
    return y * factor[:, None, None] + shift[:, None, None]
