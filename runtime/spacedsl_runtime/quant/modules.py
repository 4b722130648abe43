"""Running INT8 graphs in torch: one tensor after the other, each through its fake quantiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import clipped_range
from spacedsl.compiler.qat import QatGraph, QatNode, node_blocks
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import pair
from spacedsl.passes.program import Layer, in_neck
from spacedsl.passes.taps import places
from spacedsl_runtime.elastic.functional import (
    activate,
    conv2d,
    global_pool,
    pool2d,
    shuffled,
    space_to_depth,
    to_channels_last,
    upsampled,
)
from spacedsl_runtime.elastic.modules import (
    EPSILON,
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
    several_values,
)
from spacedsl_runtime.elastic.recompute import recomputed
from spacedsl_runtime.elastic.static import Maps
from spacedsl_runtime.errors import SubnetError
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.quant.fold import Folded, Norm, fold
from spacedsl_runtime.quant.fused import fake_fixed
from spacedsl_runtime.quant.lsq import Scalar, fixed_steps

Weighted = ElasticConv | ElasticLinear

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value seen, by the key of a quantiser."""


class Edge(NamedTuple):
    """An 8-bit tensor: `steps` from zero (N, C, H, W), whole numbers, and the scalar `scale` that
    its readers give a step; in training the values themselves, without scale."""

    steps: Float[Tensor, "n c h w"]
    scale: Scalar | None = None


def value_of(edge: Edge) -> Float[Tensor, "n c h w"]:
    """What an 8-bit tensor stands for."""
    return edge.steps if edge.scale is None else edge.steps * edge.scale


Watch = Callable[[Int8Node, Edge], Edge]
"""Sees every tensor of the INT8 plan as it is made, and says what its readers get."""


class Quantised(nn.Module):
    """`edges`: the learned quantisers of tensors by key, `scales`: those of weights.

    Convolutions and linear layers run on whole numbers with norm and bias folded, which is what
    the integer runtime does; while a batch norm trains, on the quantised values."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        self.scales = nn.ModuleDict()

    @abstractmethod
    def weights_at(self, layer: Layer) -> Weighted:
        """The module with a layer's weights."""

    def quantiser_parameters(self) -> Iterator[nn.Parameter]:
        """Scales and offsets, which learn at a rate of about 1e-4 and without weight decay."""
        yield from self.edges.parameters()
        yield from self.scales.parameters()

    def run_graph(
        self,
        graph: QatGraph,
        x: Tensor,
        *,
        dropout: bool = True,
        watch: Watch | None = None,
        ranges: Ranges | None = None,
        recompute: bool = False,
    ) -> dict[str, Edge]:
        """x (N, C, H, W) through a graph: every tensor by the name of its node. With `ranges` in
        FP32, with the batch's own statistics, and noting the ranges of tensors there. `recompute`:
        autograd keeps the tensors between blocks only, and no others are returned."""
        if recompute:
            return self._recomputed(graph, x, dropout)
        made: dict[str, Edge] = {}
        for each in graph:
            node = each.node
            if node.op == "input":
                edge = self._made(each, to_channels_last(x), ranges)
            else:
                edge = self._run(each, [made[i] for i in node.inputs], dropout, ranges)
            made[node.name] = edge if watch is None or node.op == "dropout" else watch(node, edge)
        return made

    def _recomputed(self, graph: QatGraph, x: Tensor, dropout: bool) -> dict[str, Edge]:
        """`run_graph`, block by block; of a pyramid all tensors are kept."""
        edge = self._made(graph[0], to_channels_last(x), None)
        before = graph[0].node.name
        made = {before: edge}
        for nodes in node_blocks(graph):
            if in_neck(nodes[0].sizes):
                for each in nodes:
                    inputs = [made[i] for i in each.node.inputs]
                    made[each.node.name] = self._run(each, inputs, dropout, None)
                continue
            block = partial(self._block, nodes, before, dropout)
            edge = recomputed(block, edge, self._norms(nodes))
            before = nodes[-1].node.name
            made[before] = edge
        return made

    def _block(self, nodes: QatGraph, before: str, dropout: bool, edge: Edge) -> Edge:
        """The last tensor of a block's nodes, given the one before it."""
        made = {before: edge}
        for each in nodes:
            inputs = [made[i] for i in each.node.inputs]
            made[each.node.name] = self._run(each, inputs, dropout, None)
        return made[nodes[-1].node.name]

    def _norms(self, nodes: QatGraph) -> list[ElasticNorm]:
        """The batch norms that some nodes of a graph train."""
        weighted = (each.sizes for each in nodes if each.weights is not None)
        found = (_norm_and_bias(self.weights_at(layer), layer)[0] for layer in weighted)
        return [norm for norm in found if norm is not None]

    def _run(self, each: QatNode, inputs: list[Edge], dropout: bool, ranges: Ranges | None) -> Edge:
        node = each.node
        x, fused = inputs[0], self.training and ranges is None
        match node.op:
            case "add" | "mul" if fused and node.fixed is None:
                join = torch.add if node.op == "add" else torch.mul
                values = (value_of(edge) for edge in inputs)
                return Edge(self.quantiser(each).joined(join, *values))
            case "shift" if fused and node.fixed is not None:
                return Edge(fake_fixed(value_of(x), node.fixed, node.offset))
            case "dropout":
                active = dropout and self.training and ranges is None
                return Edge(F.dropout(x.steps, each.sizes.rate, active), x.scale)
            case "maxpool":
                return Edge(pool2d(x.steps, node.op, each.sizes.window), x.scale)
            case "space-to-depth":
                return Edge(space_to_depth(x.steps, pair(node.kernel)[0]), x.scale)
            case "slice":
                return Edge(x.steps.narrow(1, node.start, node.shape[0]), x.scale)
            case "shuffle":
                return Edge(shuffled(x.steps, node.groups), x.scale)
            case "upsample":
                return Edge(upsampled(x.steps, node.kernel), x.scale)
            case "concat" if node.shared:
                return Edge(torch.cat([edge.steps for edge in inputs], dim=1), x.scale)
            case "concat":
                y = torch.cat([value_of(edge) for edge in inputs], dim=1)
            case "avgpool":
                y = value_of(Edge(pool2d(x.steps, node.op, each.sizes.window), x.scale))
            case "pool":
                y = value_of(Edge(global_pool(x.steps), x.scale))
            case "add":
                y = value_of(x) + value_of(inputs[1])
            case "mul":
                y = value_of(_product(x, inputs[1]))
            case "shift":
                y = value_of(x) + node.offset
            case act if act in ACTIVATIONS:
                y = activate(value_of(x), act)
            case _:
                y = self._weighted(each, x, ranges)
        return self._made(each, y, ranges)

    def _made(self, each: QatNode, y: Tensor, ranges: Ranges | None) -> Edge:
        """y through the node's quantiser."""
        node = each.node
        if ranges is not None:
            return _observed(each, y, ranges)
        y = y.float()
        if node.fixed is not None:
            return (
                Edge(fake_fixed(y, node.fixed))
                if self.training
                else Edge(*fixed_steps(y, node.fixed))
            )
        quantiser = self.quantiser(each)
        return Edge(quantiser(y)) if self.training else Edge(*quantiser.steps(y))

    def quantiser(self, node: QatNode) -> ActivationQuantiser:
        """The learned quantiser of a node. Raises `SubnetError` where it was never started."""
        return cast(ActivationQuantiser, _started(self.edges, node.edge, node))

    def scale(self, node: QatNode) -> WeightQuantiser:
        """The quantiser of a node's weights. Raises `SubnetError` as `quantiser` does."""
        return cast(WeightQuantiser, _started(self.scales, node.weights, node))

    def folded(self, node: QatNode, input_scale: Tensor) -> Folded:
        """Norm and bias folded into the whole numbers of a node that reads `input_scale`."""
        source = self.weights_at(node.sizes)
        norm, bias = _norm_and_bias(source, node.sizes)
        statistics = None
        if norm is not None:
            c = node.sizes.cout
            parts = (norm.weight[:c], norm.bias[:c], norm.running_mean[:c], norm.running_var[:c])
            statistics = Norm(*parts, EPSILON)
        integers, scale = self.scale(node).steps(source.weight_of(node.sizes))
        return fold(integers, scale, statistics, bias, input_scale, node.node.offset)

    def _weighted(self, node: QatNode, x: Edge, ranges: Ranges | None) -> Tensor:
        """(N, cin, H, W) -> (N, cout, H', W')."""
        source = self.weights_at(node.sizes)
        norm, bias = _norm_and_bias(source, node.sizes)
        if x.scale is not None and (norm is None or not norm.training):
            folded = self.folded(node, x.scale)
            with torch.autocast(x.steps.device.type, enabled=False):
                y = _convolve(node.sizes, x.steps, folded.weight) + _channels(folded.bias)
                return y * _channels(folded.step)
        weight = source.weight_of(node.sizes)
        if ranges is None:
            weight = self.scale(node)(weight)
        y = _convolve(node.sizes, value_of(x), weight)
        y = y if bias is None else y + _channels(bias)
        if norm is not None and ranges is not None:
            y = _by_batch(norm, y)
        elif norm is not None:
            y = norm(y)
        offset = node.node.offset
        return y + offset if offset else y


def outputs_of(
    graph: QatGraph, made: Mapping[str, Edge], taps: Mapping[str, int]
) -> Float[Tensor, "n classes"] | Maps:
    """What a whole network gives: its taps by name, else its logits."""
    if not taps:
        return last_of(graph, made).flatten(1)
    ends = places((each.sizes.at for each in graph[1:]), taps)
    return {name: value_of(made[graph[end].node.name]) for name, end in ends.items()}


def last_of(graph: QatGraph, made: Mapping[str, Edge]) -> Float[Tensor, "n c h w"]:
    """What the last node of a graph makes."""
    return value_of(made[graph[-1].node.name])


def _by_batch(norm: ElasticNorm, y: Tensor) -> Tensor:
    """y (N, C, H, W) normalised by its own statistics, which are not kept."""
    c = y.shape[1]
    if not several_values(y):
        running = norm.running_mean[:c], norm.running_var[:c]
        return F.batch_norm(y, *running, norm.weight[:c], norm.bias[:c], False, 0.0, EPSILON)
    return F.batch_norm(y, None, None, norm.weight[:c], norm.bias[:c], True, 0.0, EPSILON)


def _started(quantisers: nn.ModuleDict, key: str | None, node: QatNode) -> nn.Module:
    if key is None or key not in quantisers:
        raise SubnetError(f"no quantiser for {node.node.name}: start QAT with a subnet that has it")
    return quantisers[key]


def _norm_and_bias(source: Weighted, layer: Layer) -> tuple[ElasticNorm | None, Tensor | None]:
    if isinstance(source, ElasticLinear):
        return None, source.bias
    return source.norm_of(layer), source.bias_of(layer)


def _convolve(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    """(N, cin, H, W) -> (N, cout, H', W') without bias; a linear layer as a 1 x 1 convolution."""
    if layer.kind == "linear":
        return F.linear(x.flatten(1), weight)[:, :, None, None]
    return conv2d(x, weight, None, layer.window)


def _product(a: Edge, b: Edge) -> Edge:
    scale = None if a.scale is None or b.scale is None else a.scale * b.scale
    return Edge(a.steps * b.steps, scale)


def _channels(x: Tensor) -> Tensor:
    return x[:, None, None]


def _observed(each: QatNode, y: Tensor, ranges: Ranges) -> Edge:
    """y in FP32; its range is noted where the node has a learned quantiser."""
    y, node = y.float(), each.node
    if node.fixed is not None:
        low, high = ((q - node.fixed.zero_point) * node.fixed.write for q in (0, QMAX))
        return Edge(y.clamp(low, high) * (node.fixed.read / node.fixed.write))
    if each.edge is not None:
        low, high = ranges.get(each.edge, (0.0, 0.0))
        ranges[each.edge] = (min(low, float(y.min())), max(high, float(y.max())))
    return Edge(y if node.clip == "none" else y.clamp(*clipped_range(node.clip, -inf, inf)))
