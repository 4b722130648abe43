"""A PyTorch network as steps in the operators of the language.

torch.fx follows what the network does to an image. An operation that the language cannot say is an
error, which names it with the reason."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from spacedsl.ir.block import (
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Linear,
    Op,
    Pool,
    Se,
    Shuffle,
    SpaceToDepth,
)
from spacedsl.ir.expr import Num
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.graph import argument, followed, is_spatial, nodes_in
from spacedsl_runtime.foreign.modules import (
    ADDS,
    BRANCHES,
    CONCATS,
    FLATTENS,
    FUNCTIONS,
    MEANS,
    PRODUCTS,
    REASONS,
    SPLIT,
    activation,
    conv_arrays,
    conv_window,
    folded,
    is_depthwise,
    linear_arrays,
    norm_arrays,
    norm_fault,
    pool_called,
    pool_window,
    refused,
)
from spacedsl_runtime.foreign.shuffles import shuffles_in
from spacedsl_runtime.foreign.steps import Doing, Joined, Mistakes, Part, Step, classified, parts_of
from spacedsl_runtime.foreign.values import Value, chain, common, concat


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
    return _Walk(network, graph, shapes, mistakes).steps()


class _Walk:
    """From the nodes of a graph to steps, in execution order."""

    def __init__(
        self,
        network: nn.Module,
        graph: fx.Graph,
        shapes: dict[fx.Node, tuple[int, ...]],
        mistakes: Mistakes,
    ) -> None:
        self.network, self.graph, self.shapes, self.mistakes = network, graph, shapes, mistakes
        self.values: dict[fx.Node, Value] = {}
        self.passed: set[fx.Node] = set()
        self.joined: dict[tuple[int, ...], Value] = {}
        self.shuffles = shuffles_in(graph, shapes)

    def steps(self) -> tuple[Doing, ...]:
        """Raises `ForeignError`."""
        last: Value | None = None
        for node in self.graph.nodes:
            if node.op == "placeholder" and not self.values:
                self.values[node] = Value(self.shapes[node][1])
            elif node.op == "output":
                (result,) = node.args
                last = self.values.get(result) if isinstance(result, fx.Node) else None
            elif node.op in ("call_module", "call_function", "call_method"):
                found = self._module(node) if node.op == "call_module" else self._function(node)
                if found is not None:
                    self.values[node] = found
        self.mistakes.check()
        if last is None:
            raise ForeignError(f"what {type(self.network).__name__} gives is no tensor of logits")
        steps = chain(None, last)
        for part in parts_of(steps):
            self.mistakes.add(part.path, SPLIT)
        self.mistakes.check()
        return classified(steps)

    def _path(self, node: fx.Node) -> str:
        """The module that does it, "" for the network itself."""
        if node.op == "call_module":
            return str(node.target)
        stack = node.meta.get("nn_module_stack")
        if not stack:
            return ""
        name = list(stack)[-1]
        return str(stack[name][0] if isinstance(stack[name], tuple) else name)

    def _no(self, node: fx.Node, reason: str) -> None:
        path = self._path(node)
        kind = type(self.network.get_submodule(path)).__name__
        self.mistakes.add(f"{path} ({kind})" if path else kind, reason)

    def _same(self, node: fx.Node, value: Value) -> Value:
        self.passed.add(node)
        return value

    def _after(self, node: fx.Node, value: Value, step: Step | Joined) -> Value:
        return Value(self.shapes[node][1], value, step)

    def _weightless(self, node: fx.Node, value: Value, op: Op) -> Value:
        step = Step(op, self._path(node), value.channels, self.shapes[node][1])
        return self._after(node, value, step)

    def _module(self, node: fx.Node) -> Value | None:
        module = self.network.get_submodule(str(node.target))
        value = self.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
        if value is None:
            return None
        cout, kind = (self.shapes.get(node, (1, 0))[1]), type(module).__name__
        act = activation(module)
        if act is not None:
            return self._act(node, value, act)
        match module:
            case nn.Identity():
                return self._same(node, value)
            case nn.Dropout() | nn.Dropout2d():
                return self._dropout(node, value, module.p)
            case nn.Flatten():
                return self._flat(node, value)
            case nn.Conv2d():
                return self._conv(node, value, module)
            case nn.ChannelShuffle():
                return self._shuffle(node, node.args[0], module.groups)  # type: ignore[arg-type]
            case _ if kind == "SpaceToDepth":
                return self._weightless(node, value, SpaceToDepth(block=cast(Any, module).bs))
            case nn.BatchNorm2d():
                return self._norm(node, value, module)
            case nn.MaxPool2d():
                return self._pool(node, value, "maxpool", module)
            case nn.AvgPool2d():
                return self._pool(node, value, "avgpool", module)
            case nn.Linear():
                arrays = linear_arrays(module.weight, module.bias)
                return self._linear(node, value, cout, arrays)
            case _ if kind == "DropPath":
                return self._same(node, value)
            case _ if "AdaptivePool" in kind or "AdaptiveAvgPool" in kind:
                return self._global(node, value, getattr(module, "pool_type", "avg"))
        self._no(node, f"{kind} has no counterpart in the language")
        return None

    def _function(self, node: fx.Node) -> Value | None:
        if node in self.shuffles:
            said = self.shuffles[node]
            return None if said is None else self._shuffle(node, said.start, said.groups)
        target = node.target
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        found = [self.values[a] for a in nodes_in(node.args) if a in self.values]
        if name in REASONS:
            self._no(node, REASONS[name])
            return None
        if not found or (node not in self.shapes and name not in ("split", "chunk")):
            return None
        value = found[0]
        if target in FUNCTIONS:
            return self._act(node, value, FUNCTIONS[target])
        if target is F.gelu and node.kwargs.get("approximate", "none") == "none":
            return self._act(node, value, "gelu")
        if target in ADDS or target in PRODUCTS:
            if len(found) == 2:
                return (self._sum if target in ADDS else self._product)(node, *found)
            others = [one for one in nodes_in(node.args) if one not in self.values]
            if all(one.op == "get_attr" for one in others):
                self._no(node, "arithmetic with constants is not in the language")
            return None
        if target == "contiguous":
            return self._same(node, value)
        if (pool := pool_called(target, node.args[1:], node.kwargs)) is not None:
            kind = "maxpool" if isinstance(pool, nn.MaxPool2d) else "avgpool"
            return self._pool(node, value, kind, pool)
        if target in FLATTENS:
            return self._flat(node, value)
        if target in MEANS:
            return self._global(node, value, "avg" if is_spatial(node) else "mean of other axes")
        if target is F.adaptive_avg_pool2d:
            return self._global(node, value, "avg")
        if target is F.dropout:
            return self._dropout(node, value, float(argument(node, 1, "p", 0.5)))
        if target is F.linear:
            weight = self._tensor(argument(node, 1, "weight", None))
            bias = self._tensor(argument(node, 2, "bias", None))
            if weight is not None:
                arrays = linear_arrays(weight, bias)
                return self._linear(node, value, weight.shape[0], arrays)
        if target in CONCATS:
            return self._concat(node)
        if name in ("split", "chunk"):
            return value  # what it gives is taken by number
        if target is operator.getitem:
            return self._part(node, value)
        self._no(node, f"`{name}` has no counterpart in the language")
        return None

    def _shuffle(self, node: fx.Node, before: fx.Node, groups: int) -> Value | None:
        value, op = self.values.get(before), Shuffle(groups=Num(value=groups))
        return None if value is None else self._weightless(node, value, op)

    def _concat(self, node: fx.Node) -> Value | None:
        tensors = argument(node, 0, "tensors", ())
        if len(self.shapes[node]) != 4 or argument(node, 1, "dim", 0) % 4 != 1:
            self._no(node, "a concat is one of channels in the language")
            return None
        if any(tensor not in self.values for tensor in tensors):
            return None
        if len(tensors) == 1:
            return self._same(node, self.values[tensors[0]])
        ends = [self.values[tensor] for tensor in tensors]
        key = tuple(map(id, ends))
        for known in range(len(ends) - 1, 1, -1):  # what was joined before grows
            if key[:known] in self.joined:
                ends = [self.joined[key[:known]], *ends[known:]]
                break
        found = concat(ends)
        if found is None:
            self._no(node, BRANCHES)
            return None
        self.joined[key] = found
        return found

    def _part(self, node: fx.Node, value: Value) -> Value | None:
        """What stands behind a split, or a slice: a part of the channels, or all of them."""
        before, index = cast(tuple[fx.Node, Any], node.args)
        channels = self.shapes[node][1]
        if channels == value.channels and self.shapes[node] == self.shapes.get(before):
            return self._same(node, value)
        count, rest = divmod(value.channels, channels)
        if isinstance(index, tuple) and self.shapes[node][2:] == self.shapes[before][2:]:
            index, odd = divmod(index[1].start or 0, channels)
            rest += odd
        if not isinstance(index, int) or rest:
            self._no(node, SPLIT)
            return None
        part = Part(index, count, self._path(node), value.channels, channels)
        return Value(channels, value, part)

    def _tensor(self, node: Any) -> Tensor | None:
        """The parameter or buffer of the network that an argument is."""
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        parent, _, name = str(node.target).rpartition(".")
        found = getattr(self.network.get_submodule(parent), name)
        return found if isinstance(found, Tensor) else None

    def _alone(self, node: fx.Node) -> bool:
        """Does nothing else read the tensor that `node` reads?"""
        before = node.args[0]
        while isinstance(before, fx.Node) and len(before.users) == 1:
            if before not in self.passed:
                return True
            before = before.args[0]
        return False

    def _conv(self, node: fx.Node, value: Value, conv: nn.Conv2d) -> Value | None:
        sizes = self.shapes[node.args[0]][2:], self.shapes[node][2:]  # type: ignore[index]
        window = conv_window(conv, *sizes)
        if isinstance(window, str):
            self._no(node, window)
            return None
        said: dict[str, Any] = {
            "kernel": Num(value=window.kernel),
            "dilation": Num(value=window.dilation),
            "stride": window.stride,
            "valid": window.valid,
            "norm": False,
            "bias": conv.bias is not None,
        }
        op: Conv | DwConv = DwConv(**said)
        if not is_depthwise(conv):
            width, groups = Num(value=conv.out_channels), Num(value=conv.groups)
            op = Conv(**said, width=width, groups=groups)
        widths = (conv.in_channels, conv.out_channels)
        step = Step(op, str(node.target), *widths, (conv_arrays(conv),))
        return self._after(node, value, step)

    def _norm(self, node: fx.Node, value: Value, norm: nn.BatchNorm2d) -> Value | None:
        step, inner = value.doing, getattr(norm, "act", nn.Identity())
        act, fault = activation(inner), norm_fault(norm)
        if act is None and not isinstance(inner, nn.Identity):
            fault = f"{type(inner).__name__} has no counterpart in the language"
        elif fault is None and isinstance(step, Step) and isinstance(step.op, Conv | DwConv):
            plain = not step.op.norm and not step.op.act
            if plain and self._alone(node):
                op = step.op.model_copy(update={"norm": True, "act": act})
                arrays = {**step.arrays[0], **norm_arrays(norm)}
                return replace(value, doing=replace(step, op=op, arrays=(arrays,)))
        if fault is not None:
            self._no(node, fault)
            return None
        one = torch.ones(value.channels, 1, 1, 1)  # a depthwise convolution of one pixel
        op = DwConv(kernel=Num(value=1), act=act, ones=True)
        arrays = {"weight": one, **norm_arrays(norm)}
        lone = Step(op, str(node.target), value.channels, value.channels, (arrays,))
        return self._after(node, value, lone)

    def _act(self, node: fx.Node, value: Value, act: str) -> Value | None:
        step = value.doing
        if self._alone(node):
            if isinstance(step, Joined) and step.act is None:
                return replace(value, doing=replace(step, act=act))
            if isinstance(step, Step) and isinstance(step.op, Conv | DwConv) and not step.op.act:
                op = step.op.model_copy(update={"act": act})
                return replace(value, doing=replace(step, op=op))
        self._no(node, "an activation stands after a convolution or a sum in the language")
        return None

    def _pool(
        self, node: fx.Node, value: Value, kind: Any, pool: nn.MaxPool2d | nn.AvgPool2d
    ) -> Value | None:
        window = pool_window(pool, self.shapes[node.args[0]][2], self.shapes[node][2])  # type: ignore[index]
        if isinstance(window, str):
            self._no(node, window)
            return None
        kernel = Num(value=window.kernel)
        op = Pool(op=kind, kernel=kernel, stride=window.stride, valid=window.valid)
        return self._weightless(node, value, op)

    def _global(self, node: fx.Node, value: Value, kind: str) -> Value | None:
        if kind != "avg" or max(self.shapes[node][2:], default=1) > 1:
            self._no(node, f"a global pool is an average to 1 x 1 in the language, not {kind!r}")
            return None
        return self._weightless(node, value, GlobalPool())

    def _flat(self, node: fx.Node, value: Value) -> Value | None:
        if self.shapes[node][1] != value.channels:
            self._no(node, "a classifier reads a pooled 1 x 1 map in the language")
            return None
        return self._same(node, value)

    def _dropout(self, node: fx.Node, value: Value, rate: float) -> Value:
        if not rate:
            return self._same(node, value)
        return self._weightless(node, value, Dropout(rate=rate))

    def _linear(self, node: fx.Node, value: Value, classes: int, arrays: Any) -> Value | None:
        if len(self.shapes[node]) != 2:
            self._no(node, "a linear layer is a classifier of pooled maps in the language")
            return None
        step = Step(Linear(classes=classes), self._path(node), value.channels, classes, (arrays,))
        return self._after(node, value, step)

    def _sum(self, node: fx.Node, a: Value, b: Value) -> Value | None:
        start = common(a, b)
        if start is None or a is b or (self.shapes[node][1] != a.channels):
            self._no(node, "a sum of two paths from one tensor is what the language has")
            return None
        paths = chain(start, a), chain(start, b)
        main, shortcut = paths if len(paths[0]) >= len(paths[1]) else paths[::-1]
        step = Joined((main, shortcut), start.channels, a.channels)
        return self._after(node, start, step)

    def _product(self, node: fx.Node, a: Value, b: Value) -> Value | None:
        x, gate = (a, b) if common(a, b) is a else (b, a)
        match chain(x, gate) if common(a, b) is x else ():
            case (
                Step(op=GlobalPool()),
                Step(op=Conv(kernel=Num(value=1), act=str(act))) as squeeze,
                Step(op=Conv(kernel=Num(value=1), act=str(end))) as excite,
            ) if excite.cout == x.channels:
                op = Se(squeeze=Num(value=squeeze.cout), act=act, gate=end)
                arrays = folded(squeeze.arrays[0]), folded(excite.arrays[0])
                step = Step(op, self._path(node), x.channels, x.channels, arrays)
                return self._after(node, x, step)
        self._no(node, "of products the language has squeeze and excitation (two convolutions 1x1)")
        return None
