"""Weights of a network as plain arrays, and random ones where there is no checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.graph import WEIGHTED, Graph, Node, weight_shape
from spacedsl.diagnostics import fault

Floats = NDArray[np.float32]

NodeParameters = dict[str, Floats]
"""`weight` (cout, cin per group, k, k); `bias` (cout,) where the node has one; with batch norm
`gamma`, `beta`, `mean`, `var`, each (cout,)."""

Parameters = dict[str, NodeParameters]
"""Node name -> its arrays."""

NORM = ("gamma", "beta", "mean", "var")
EPSILON = 1e-5
"""Added to a batch norm's variance, as PyTorch does by default."""


def expected_shapes(graph: Graph) -> dict[str, dict[str, tuple[int, ...]]]:
    """The arrays that every weighted node needs."""
    nodes = graph.by_name()
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for node in graph.nodes:
        if node.op not in WEIGHTED:
            continue
        cout = (node.shape[0],)
        arrays: dict[str, tuple[int, ...]] = {
            "weight": weight_shape(node, nodes[node.inputs[0]].shape[0])
        }
        arrays |= {"bias": cout} if node.bias else {}
        arrays |= dict.fromkeys(NORM, cout) if node.norm else {}
        shapes[node.name] = arrays
    return shapes


def check_parameters(graph: Graph, parameters: Mapping[str, Mapping[str, Floats]]) -> None:
    """Raise `SpaceError` unless `parameters` are those of `graph`."""
    expected = expected_shapes(graph)
    for name in sorted(expected.keys() | parameters.keys()):
        want = expected.get(name)
        have = {k: v.shape for k, v in parameters[name].items()} if name in parameters else None
        if want != have:
            raise fault(
                "wrong-parameters",
                f"parameters of another network: {name} has {have}, the model's page says {want}",
            )
        if not all(np.isfinite(v).all() for v in parameters[name].values()):
            raise fault("wrong-parameters", f"{name} has a parameter that is no finite number")


def random_parameters(graph: Graph, seed: int) -> Parameters:
    """He-initialised weights and batch norms near the identity; the same for the same seed."""
    readers = graph.consumers()
    found: Parameters = {}
    for i, (name, shapes) in enumerate(expected_shapes(graph).items()):
        rng = np.random.default_rng([seed, i])
        gain = 2.0 if any(r.op == "act" for r in readers[name]) else 1.0
        fan_in = int(np.prod(shapes["weight"][1:]))
        arrays = {"weight": _normal(rng, shapes["weight"], sqrt(gain / fan_in))}
        if "bias" in shapes:
            arrays["bias"] = _normal(rng, shapes["bias"], 0.1)
        if "gamma" in shapes:
            shape = shapes["gamma"]
            arrays["gamma"] = 1 + _normal(rng, shape, 0.1)
            arrays["beta"] = _normal(rng, shape, 0.1)
            arrays["mean"] = _normal(rng, shape, 0.1)
            arrays["var"] = np.square(1 + _normal(rng, shape, 0.1))
        found[name] = arrays
    return found


def _normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> Floats:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)


def images(node: Node, count: int, seed: int) -> Floats:
    """Random images (count, C, H, W) for `node` (the input): noise at several scales, so that
    neighbouring pixels agree as they do in photographs."""
    rng = np.random.default_rng([seed, 1 << 20])
    channels, height, width = node.shape
    total = np.zeros((count, channels, height, width), np.float32)
    for cell in (1, 4, 16):
        noise = _normal(rng, (count, channels, -(-height // cell), -(-width // cell)), 0.7)
        total += noise.repeat(cell, 2).repeat(cell, 3)[:, :, :height, :width]
    return total
