"""Times of operators as LiteRT runs them, under the names of the plan."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from spacedsl.compiler.export import fp32_tflite
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.block import walk
from spacedsl.ir.subnet import Subnet
from spacedsl.runtimes.litert_profile import ProfiledFile
from tests.compiler.onnx_support import library_blocks, net_around
from tests.compiler.tflite_support import litert_model
from tests.laws.strategies import subnets
from tests.support import library_model


def timed_names(subnet: Subnet) -> tuple[tuple[str, ...], tuple[Int8Node, ...]]:
    """Names that LiteRT's operators got, and the nodes of the plan."""
    _, model = litert_model(subnet)
    profiled = ProfiledFile(emit_int8(model))
    profiled()
    names, times_ms = profiled.close()
    assert times_ms.shape == (1, len(names))
    return names, model.nodes


def check(subnet: Subnet) -> None:
    """Every tensor of the network is made by an operator of its name; a rewrite's inner tensors
    are merged away."""
    names, nodes = timed_names(subnet)
    order = [name for name in names if name in {node.name for node in nodes}]
    assert order == [node.name for node in nodes if node.value]


@pytest.mark.slow
def test_operators_of_every_block_are_told_apart() -> None:
    for block in library_blocks():
        for stride, size in ((1, 24), (2, 27)):
            check(net_around(block, stride, 24, size, "hswish"))


@settings(max_examples=25, suppress_health_check=[*HealthCheck])
@given(subnet=subnets())
def test_operators_of_random_networks_are_told_apart(subnet: Subnet) -> None:
    """But for joined channels: where they are rescaled, XNNPACK merges in ways that are refused."""
    ops = (op for stage in subnet.of.stages for c in stage.choices for op in walk(c.block.ops))
    assume(all(op.op != "concat" for op in ops))
    check(subnet)


def test_times_add_up_to_a_run() -> None:
    _, model = litert_model(library_model("models/seqnet-pixel4-a1"))
    profiled = ProfiledFile(emit_int8(model))
    walls_ms = []
    for _ in range(7):
        start = time.perf_counter()
        profiled()
        walls_ms.append((time.perf_counter() - start) * 1e3)
    names, times_ms = profiled.close()
    assert times_ms.shape == (7, len(names))
    assert (times_ms.sum(axis=1) <= walls_ms).all()
    assert times_ms.sum(axis=1).min() > 0.2 * np.min(walls_ms)


def test_what_cannot_be_profiled_is_refused() -> None:
    net, model = litert_model(library_model("models/tiny-a0"))
    other = ProfiledFile(fp32_tflite(net))
    with pytest.raises(SpaceError, match="merged in another way"):
        other()
    other.close()
    for damaged in (b"", emit_int8(model)[:5000]):
        with pytest.raises(SpaceError, match="bad-tflite"):
            ProfiledFile(damaged)
