"""What is known while a PyTorch network is followed: the values of its nodes, and its mistakes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

from spacedsl.ir.block import Op
from spacedsl_runtime.foreign.shuffles import shuffles_in
from spacedsl_runtime.foreign.steps import Joined, Mistakes, Step
from spacedsl_runtime.foreign.values import Value


class Walk:
    """The nodes of a graph that were passed, and what they give."""

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

    def path(self, node: fx.Node) -> str:
        """The module that does it, "" for the network itself."""
        if node.op == "call_module":
            return str(node.target)
        stack = node.meta.get("nn_module_stack")
        if not stack:
            return ""
        name = list(stack)[-1]
        return str(stack[name][0] if isinstance(stack[name], tuple) else name)

    def refuse(self, node: fx.Node, reason: str) -> None:
        """Note that an operation cannot be said."""
        path = self.path(node)
        kind = type(self.network.get_submodule(path)).__name__
        self.mistakes.add(f"{path} ({kind})" if path else kind, reason)

    def same(self, node: fx.Node, value: Value) -> Value:
        """The value behind an operation that changes nothing."""
        self.passed.add(node)
        return value

    def after(self, node: fx.Node, value: Value, step: Step | Joined) -> Value:
        """The value behind a step."""
        return Value(self.shapes[node][1], value, step)

    def weightless(self, node: fx.Node, value: Value, op: Op) -> Value:
        """The value behind an op without weights."""
        step = Step(op, self.path(node), value.channels, self.shapes[node][1])
        return self.after(node, value, step)

    def tensor(self, node: Any) -> Tensor | None:
        """The parameter or buffer of the network that an argument is."""
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        parent, _, name = str(node.target).rpartition(".")
        found = getattr(self.network.get_submodule(parent), name)
        return found if isinstance(found, Tensor) else None

    def alone(self, node: fx.Node) -> bool:
        """Does nothing else read the tensor that `node` reads?"""
        before = node.args[0]
        while isinstance(before, fx.Node) and len(before.users) == 1:
            if before not in self.passed:
                return True
            before = before.args[0]
        return False
