"""One subnet of a QAT supernet, alone: what is evaluated, re-calibrated and deployed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spacedsl.compiler.qat import QatGraph, place_of
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.program import Layer
from spacedsl_runtime.elastic.functional import channels_last
from spacedsl_runtime.elastic.modules import ElasticConv, ElasticLinear
from spacedsl_runtime.elastic.reparam import FoldedConv
from spacedsl_runtime.elastic.static import Maps
from spacedsl_runtime.elastic.supernet import ElasticStages, check_images
from spacedsl_runtime.quant.modules import Quantised, Watch, Weighted, outputs_of
from spacedsl_runtime.quant.stages import QatStages


class QatLayers(Quantised):
    """The layers of one subnet. `layers`: weights by the place of their op. Its batch norms can be
    re-calibrated (`recalibrate`)."""

    def __init__(self, origin: QatStages[ElasticStages], subnet: Subnet, graph: QatGraph) -> None:
        super().__init__()
        self.plan, self.rules, self.channels = origin.plan, origin.rules, origin.supernet.channels
        self.subnet, self.graph = subnet, graph
        self.layers = nn.ModuleDict()
        with next(origin.parameters()).device:
            for node in graph:
                if node.edge is not None:
                    self.edges[node.edge] = deepcopy(origin.quantiser(node))
                if node.weights is not None:
                    layer = node.sizes
                    self.scales[node.weights] = deepcopy(origin.scale(node))
                    self.layers[place_of(layer)] = cropped(origin.weights_at(layer), layer)
        channels_last(self).train(origin.training)

    def weights_at(self, layer: Layer) -> Weighted:
        """The module with a layer's weights."""
        return cast(Weighted, self.layers[place_of(layer)])


class QatSubnet(QatLayers):
    """`net(x)`: a whole network, in eval mode with the arithmetic of the integer runtime."""

    def forward(
        self, x: Float[Tensor, "n c h w"], watch: Watch | None = None
    ) -> Float[Tensor, "n classes"] | Maps:
        """(N, channels, R, R) -> (N, classes), or taps by name. `watch` sees every 8-bit tensor as
        it is made."""
        check_images(x, self.channels, self.subnet)
        made = self.run_graph(self.graph, x, watch=watch)
        return outputs_of(self.graph, made, self.plan.taps)


def cropped(source: Weighted, layer: Layer) -> Weighted:
    """A copy of what a layer uses of a module, of a stack up to it."""
    if isinstance(source, ElasticLinear):
        linear = ElasticLinear(layer.cin, layer.cout)
        _assign(linear.weight, source.weight_of(layer))
        _assign(linear.bias, source.bias)
        return linear
    shape = layer.cout, layer.fan_in, layer.kernel
    norm, bias = source.norm_of(layer), source.bias_of(layer)
    if isinstance(source, FoldedConv):
        conv: ElasticConv = FoldedConv(shape)
    else:
        conv = ElasticConv(shape, layer.part + 1).with_norm(norm is not None, bias is not None)
    for part, weight in enumerate(conv.weights):
        _assign(weight, source.weight_of(replace(layer, part=part)))
    if conv.bias is not None and bias is not None:
        _assign(conv.bias, bias)
    if conv.norm is not None and norm is not None:
        for name, tensor in conv.norm.state_dict(keep_vars=True).items():
            _assign(tensor, getattr(norm, name)[: layer.cout])
    return conv


def _assign(target: Tensor, source: Tensor) -> None:
    with torch.no_grad():
        target.copy_(source)
