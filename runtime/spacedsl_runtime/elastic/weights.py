"""The weights of a network of a supernet, convolution by convolution: read and written by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import cast

import torch
from torch import Tensor

from spacedsl.compiler.fold import affine
from spacedsl.operators.operators import words_where
from spacedsl.passes.program import Layer, Program, flat, se_layers
from spacedsl_runtime.elastic.modules import (
    EPSILON,
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
)
from spacedsl_runtime.elastic.reparam import ReparamConv
from spacedsl_runtime.elastic.supernet import ElasticStages

WITH_WEIGHTS = words_where(weights=True)

Arrays = dict[str, Tensor]
"""`weight` (cout, cin per group, k, k), `bias` where there is one, and of a batch norm `gamma`,
`beta`, `mean` and `var`, all (cout,): as `spacedsl.compiler.parameters` names them."""


def layer_weights(net: ElasticStages, program: Program) -> Iterator[tuple[Layer, Arrays]]:
    """Every convolution and classifier of a program with what it uses of the supernet's weights, as
    views: what is written into them is written into the supernet. Of a convolution that is trained
    as a sum it is what that folds into, which is no view."""
    for layer, arrays in trained_weights(net, program):
        source = net.weights_at(layer) if layer.reparam else None
        if isinstance(source, ReparamConv):
            weight, bias = (t.to(source.weights[0].dtype) for t in source.folded(layer))
            yield layer, {"weight": weight, "bias": bias}
        else:
            yield layer, arrays


def trained_weights(net: ElasticStages, program: Program) -> Iterator[tuple[Layer, Arrays]]:
    """As `layer_weights`, as views throughout: a sum has arrays of this name for each summand
    (`weight.0`, `gamma.0`, ...), and those of its input (`gamma.identity`, ...)."""
    for layer in weighted(program):
        source = net.weights_at(layer)
        if isinstance(source, ElasticLinear):
            weight = source.weight_of(layer).detach()[:, :, None, None]
            yield layer, {"weight": weight, "bias": source.bias.detach()}
        elif isinstance(source, ReparamConv):
            yield layer, _sum(source, layer)
        else:
            yield layer, _conv(cast(ElasticConv, source), layer)


def weighted(program: Program) -> Iterator[Layer]:
    """Every convolution and classifier of a program."""
    for step in flat(program):
        if isinstance(step, Layer) and step.kind == "se":
            yield from se_layers(step)
        elif isinstance(step, Layer) and step.kind in WITH_WEIGHTS:
            yield step


def _conv(conv: ElasticConv, layer: Layer) -> Arrays:
    found = {"weight": conv.weight_of(layer).detach()}
    bias = conv.bias_of(layer)
    if bias is not None:
        found["bias"] = bias.detach()
    norm = conv.norm_of(layer)
    return found if norm is None else found | _norm(norm, layer.cout)


def _sum(conv: ReparamConv, layer: Layer) -> Arrays:
    found: Arrays = {}
    for i, (weight, norm) in enumerate(conv.summands(layer)):
        found |= {f"weight.{i}": weight.detach()} | _norm(norm, layer.cout, f".{i}")
    identity = conv.identity_of(layer)
    return found if identity is None else found | _norm(identity, layer.cout, ".identity")


def _norm(norm: ElasticNorm, channels: int, of: str = "") -> Arrays:
    named: Arrays = {"gamma": norm.weight, "beta": norm.bias}
    named |= {"mean": norm.running_mean, "var": norm.running_var}
    return {f"{name}{of}": tensor.detach()[:channels] for name, tensor in named.items()}


def shapes(arrays: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in arrays.items()}


def write_weights(target: Arrays, source: Mapping[str, Tensor]) -> None:
    """Write into views of `layer_weights`; both have the same names and shapes."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])


def one_convolution(arrays: Arrays) -> Arrays:
    """A convolution, with a norm or without, as `weight` and `bias`."""
    weight = arrays["weight"].double()
    bias = arrays["bias"].double() if "bias" in arrays else weight.new_zeros(len(weight))
    if "gamma" in arrays:
        gamma, beta, mean, var = (arrays[n].double() for n in ("gamma", "beta", "mean", "var"))
        factor, bias = affine(gamma, beta, mean, torch.sqrt(var + EPSILON), bias)
        weight = weight * factor[:, None, None, None]
    return {"weight": weight, "bias": bias}


def begin_sum(target: Arrays, source: Arrays) -> None:
    """Let a sum (views of `trained_weights`) compute in evaluation what a convolution of `weight`
    and `bias` does: its first summand is that, and the others, whose weights stay, are nothing."""
    with torch.no_grad():
        for name, tensor in target.items():
            if name.startswith(("gamma.", "beta.", "mean.")):
                tensor.zero_()
            elif name.startswith("var."):
                tensor.fill_(1.0)
        target["weight.0"].copy_(source["weight"])
        target["gamma.0"].fill_(sqrt(1 + EPSILON))
        target["beta.0"].copy_(source["bias"])
