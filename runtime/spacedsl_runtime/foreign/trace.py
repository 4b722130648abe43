"""A PyTorch network as steps in the operators of the language.

torch.fx follows what the network does to an image. An operation that the language cannot say is an
error, which names it with the reason."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, fx, nn
from torch.nn import functional as F

from spacedsl.ir.block import SpaceToDepth
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign import joins, layers
from spacedsl_runtime.foreign.graph import argument, followed, is_spatial, nodes_in
from spacedsl_runtime.foreign.modules import (
    ADDS,
    CONCATS,
    FLATTENS,
    FUNCTIONS,
    MEANS,
    PRODUCTS,
    REASONS,
    SPLIT,
    activation,
    linear_arrays,
    pool_called,
    refused,
)
from spacedsl_runtime.foreign.steps import Doing, Mistakes, classified, parts_of
from spacedsl_runtime.foreign.values import Value, chain
from spacedsl_runtime.foreign.walk import Walk


def steps_of_network(
    network: nn.Module,
    image: Tensor,
    whole: tuple[type[nn.Module], ...] = (),
    functions: Sequence[Callable[..., Any]] = (),
) -> tuple[Doing, ...]:
    """The steps from the image (1, C, R, R) to the logits. `whole`: classes of modules that are one
    operation. Raises `ForeignError` with everything that the language cannot say."""
    mistakes = Mistakes()
    for name, module in network.named_modules():
        if (why := refused(module)) is not None:
            mistakes.add(f"{name} ({type(module).__name__})", why)
    mistakes.check()
    graph, shapes = followed(network, image, whole, functions)
    return _steps(Walk(network, graph, shapes, mistakes))


def _steps(walk: Walk) -> tuple[Doing, ...]:
    """Raises `ForeignError`."""
    last: Value | None = None
    for node in walk.graph.nodes:
        if node.op == "placeholder" and not walk.values:
            walk.values[node] = Value(walk.shapes[node][1])
        elif node.op == "output":
            (result,) = node.args
            last = walk.values.get(result) if isinstance(result, fx.Node) else None
        elif node.op in ("call_module", "call_function", "call_method"):
            found = _module(walk, node) if node.op == "call_module" else _function(walk, node)
            if found is not None:
                walk.values[node] = found
    walk.mistakes.check()
    if last is None:
        raise ForeignError(f"what {type(walk.network).__name__} gives is no tensor of logits")
    steps = chain(None, last)
    for part in parts_of(steps):
        walk.mistakes.add(part.path, SPLIT)
    walk.mistakes.check()
    return classified(steps)


def _module(walk: Walk, node: fx.Node) -> Value | None:
    module = walk.network.get_submodule(str(node.target))
    value = walk.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
    if value is None:
        return None
    cout, kind = (walk.shapes.get(node, (1, 0))[1]), type(module).__name__
    act = activation(module)
    if act is not None:
        return layers.activation_of(walk, node, value, act)
    match module:
        case nn.Identity():
            return walk.same(node, value)
        case nn.Dropout() | nn.Dropout2d():
            return layers.dropout(walk, node, value, module.p)
        case nn.Flatten():
            return layers.flat(walk, node, value)
        case nn.Conv2d():
            return layers.convolution(walk, node, value, module)
        case nn.ChannelShuffle():
            return joins.shuffle(walk, node, node.args[0], module.groups)  # type: ignore[arg-type]
        case _ if kind == "SpaceToDepth":
            return walk.weightless(node, value, SpaceToDepth(block=cast(Any, module).bs))
        case nn.BatchNorm2d():
            return layers.norm(walk, node, value, module)
        case nn.MaxPool2d():
            return layers.pool(walk, node, value, "maxpool", module)
        case nn.AvgPool2d():
            return layers.pool(walk, node, value, "avgpool", module)
        case nn.Linear():
            arrays = linear_arrays(module.weight, module.bias)
            return layers.linear(walk, node, value, cout, arrays)
        case _ if kind == "DropPath":
            return walk.same(node, value)
        case _ if "AdaptivePool" in kind or "AdaptiveAvgPool" in kind:
            return layers.global_pool(walk, node, value, getattr(module, "pool_type", "avg"))
    walk.refuse(node, f"{kind} has no counterpart in the language")
    return None


def _function(walk: Walk, node: fx.Node) -> Value | None:
    if node in walk.shuffles:
        said = walk.shuffles[node]
        return None if said is None else joins.shuffle(walk, node, said.start, said.groups)
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    found = [walk.values[a] for a in nodes_in(node.args) if a in walk.values]
    if name in REASONS:
        walk.refuse(node, REASONS[name])
        return None
    if not found or (node not in walk.shapes and name not in ("split", "chunk")):
        return None
    value = found[0]
    if target in FUNCTIONS:
        return layers.activation_of(walk, node, value, FUNCTIONS[target])
    if target is F.gelu and node.kwargs.get("approximate", "none") == "none":
        return layers.activation_of(walk, node, value, "gelu")
    if target in ADDS or target in PRODUCTS:
        if len(found) == 2:
            return (joins.add if target in ADDS else joins.product)(walk, node, *found)
        others = [one for one in nodes_in(node.args) if one not in walk.values]
        if all(one.op == "get_attr" for one in others):
            walk.refuse(node, "arithmetic with constants is not in the language")
        return None
    if target == "contiguous":
        return walk.same(node, value)
    if (pool := pool_called(target, node.args[1:], node.kwargs)) is not None:
        kind = "maxpool" if isinstance(pool, nn.MaxPool2d) else "avgpool"
        return layers.pool(walk, node, value, kind, pool)
    if target in FLATTENS:
        return layers.flat(walk, node, value)
    if target in MEANS:
        return layers.global_pool(
            walk, node, value, "avg" if is_spatial(node) else "mean of other axes"
        )
    if target is F.adaptive_avg_pool2d:
        return layers.global_pool(walk, node, value, "avg")
    if target is F.dropout:
        return layers.dropout(walk, node, value, float(argument(node, 1, "p", 0.5)))
    if target is F.linear:
        weight = walk.tensor(argument(node, 1, "weight", None))
        bias = walk.tensor(argument(node, 2, "bias", None))
        if weight is not None:
            arrays = linear_arrays(weight, bias)
            return layers.linear(walk, node, value, weight.shape[0], arrays)
    if target in CONCATS:
        return joins.join(walk, node)
    if name in ("split", "chunk"):
        return value  # what it gives is taken by number
    if target is operator.getitem:
        return joins.part(walk, node, value)
    walk.refuse(node, f"`{name}` has no counterpart in the language")
    return None
