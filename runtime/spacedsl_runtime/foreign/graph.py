"""What a network's code does to an image, as a graph of torch.fx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.modules import refused
from spacedsl_runtime.foreign.package import reason

Shapes = dict[fx.Node, tuple[int, ...]]
"""The shapes of the nodes that are tensors."""


def followed(
    network: nn.Module,
    image: Tensor,
    whole: tuple[type[nn.Module], ...],
    functions: Sequence[Callable[..., Any]],
) -> tuple[fx.Graph, Shapes]:
    """The graph, and the shapes of its tensors for this image. `whole` and `functions`: modules and
    functions that become one node each. Raises `ForeignError` for code that does other things for
    other images."""
    tracer = _Tracer(whole, functions)
    try:
        graph = tracer.trace(network)
        recorder = _Recorder(fx.GraphModule(network, graph))
        with torch.no_grad():
            recorder.run(image)
    except Exception as error:  # whatever the code of a network does that cannot be followed
        what = f"what {tracer.within or type(network).__name__} does cannot be followed"
        raise ForeignError(f"{what}: {reason(error)}") from None
    return graph, recorder.shapes


class _Tracer(fx.Tracer):
    """Modules that are one step of ours, and those that are refused as a whole, stay whole.
    `within`: the innermost module that is being followed, which is where an error is from."""

    within = ""

    def __init__(self, whole: tuple[type[nn.Module], ...], functions: Sequence[Callable[..., Any]]):
        super().__init__(autowrap_functions=tuple(functions))
        self.whole = (nn.Conv2d, nn.BatchNorm2d, *whole)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Is this one node of the graph?"""
        if isinstance(m, self.whole) or refused(m) is not None:
            return True
        return bool(super().is_leaf_module(m, module_qualified_name))

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """What a module makes of its arguments."""
        before, self.within = self.within, f"{self.path_of_module(m)} ({type(m).__name__})"
        found = super().call_module(m, forward, args, kwargs)
        self.within = before
        return found


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the shapes of its tensors."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """One node."""
        found = super().run_node(n)
        if isinstance(found, Tensor):
            self.shapes[n] = tuple(found.shape)
        return found


def nodes_in(args: Any) -> list[fx.Node]:
    """The nodes in the arguments of one, in order."""
    found: list[fx.Node] = []
    fx.node.map_arg(args, found.append)
    return found


def argument(node: fx.Node, position: int, name: str, default: object) -> Any:
    """What a node's function is called with, by position or by name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def is_spatial(node: fx.Node) -> bool:
    """Whether a mean is one over rows and columns."""
    axes = argument(node, 1, "dim", None)
    return isinstance(axes, tuple | list) and sorted(a % 4 for a in axes) == [2, 3]
