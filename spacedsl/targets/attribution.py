"""Which kernel of a network a runtime's node belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spacedsl.compiler.graph import layer_nodes
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.kernels import Kernel, layer_kernels
from spacedsl.search.protocols import Ints


def kernel_owners(subnet: Subnet) -> tuple[tuple[Kernel, ...], dict[str, int]]:
    """The latency kernels of a model in execution order, and for every node of its graph (the
    input apart) the position of the kernel it is part of. Raises `BindError`."""
    found: list[Kernel] = []
    owner: dict[str, int] = {}
    for layer, nodes in layer_nodes(subnet):
        first = len(found)
        found += layer_kernels(layer)
        last = len(found) - 1
        for node in nodes:
            activation = layer.act is not None and node.endswith(f".{layer.act}")
            owner[node] = last if activation and layer.kind != "se" else first
    return tuple(found), owner


def attribute(names: Iterable[str], owner: Mapping[str, int]) -> Ints:
    """The kernel of each of a runtime's nodes, (N,), in execution order. A node is known by the
    longest dotted beginning of its name (`stage1.0.conv0.hswish.gate` belongs to
    `stage1.0.conv0.hswish`); one without a known name belongs to the node before it, and those
    before the first known one to the first."""
    found: list[int] = []
    for name in names:
        words = name
        while words and words not in owner:
            words = words.rpartition(".")[0]
        found.append(owner.get(words, found[-1] if found else -1))
    first = next((i for i in found if i >= 0), 0)
    return np.array([first if i < 0 else i for i in found], dtype=np.int64)
