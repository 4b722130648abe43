"""The weights of a network of a supernet, convolution by convolution: read and written by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor

from spacedsl.operators.operators import words_where
from spacedsl.passes.program import Layer, Program, flat, se_layers
from spacedsl_runtime.elastic.modules import ElasticConv, ElasticLinear, ElasticSe
from spacedsl_runtime.elastic.supernet import ElasticStages

WITH_WEIGHTS = words_where(weights=True)

Arrays = dict[str, Tensor]
"""`weight` (cout, cin per group, k, k), `bias` where there is one, and of a batch norm `gamma`,
`beta`, `mean` and `var`, all (cout,): as `spacedsl.compiler.parameters` names them."""


def layer_weights(net: ElasticStages, program: Program) -> Iterator[tuple[Layer, Arrays]]:
    """Every convolution and classifier of a program with what it uses of the supernet's weights, as
    views: what is written into them is written into the supernet."""
    for step in flat(program):
        if not isinstance(step, Layer) or step.kind not in WITH_WEIGHTS:
            continue
        source = net.weights_at(step)
        if isinstance(source, ElasticSe):
            for conv, layer in zip((source.squeeze, source.excite), se_layers(step), strict=True):
                yield layer, _conv(conv, layer)
        elif isinstance(source, ElasticLinear):
            weight = source.weight_of(step).detach()[:, :, None, None]
            yield step, {"weight": weight, "bias": source.bias.detach()}
        else:
            yield step, _conv(cast(ElasticConv, source), step)


def _conv(conv: ElasticConv, layer: Layer) -> Arrays:
    found = {"weight": conv.weight_of(layer).detach()}
    bias = conv.bias_of(layer)
    if bias is not None:
        found["bias"] = bias.detach()
    if layer.norm and conv.norm is not None:
        norm, cout = conv.norm, layer.cout
        named: Arrays = {"gamma": norm.weight, "beta": norm.bias}
        named |= {"mean": norm.running_mean, "var": norm.running_var}
        found |= {name: tensor.detach()[:cout] for name, tensor in named.items()}
    return found


def shapes(arrays: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in arrays.items()}


def write_weights(target: Arrays, source: Mapping[str, Tensor]) -> None:
    """Write into views of `layer_weights`; both have the same names and shapes."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
