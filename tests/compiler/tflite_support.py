"""What the tests of TFLite files share: LiteRT's view of a model, and what XNNPACK takes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.export import Seeded, integer_model, seeded
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.reference import run_node
from spacedsl.compiler.retarget import restamped
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.ir.subnet import Subnet
from spacedsl.runtimes.litert import Session
from spacedsl.runtimes.rules import Rules
from spacedsl.runtimes.table import LITERT


def litert_model(subnet: Subnet, seed: int = 0) -> tuple[Seeded, IntegerModel]:
    net = seeded(subnet, seed)
    return net, integer_model(net, LITERT.rules)


def own_operators(data: bytes) -> Counter[str]:
    """Operators that XNNPACK leaves to LiteRT's own kernels: each one delegated is a node of its
    own when nodes are not fused, and makes the same tensor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, experimental_disable_delegate_node_fusion=True)
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    taken = {int(t) for op in operators if op["op_name"] == "DELEGATE" for t in op["outputs"]}
    assert taken
    return Counter(
        op["op_name"]
        for op in operators
        if op["op_name"] != "DELEGATE" and not taken & {int(t) for t in op["outputs"]}
    )


def channels_last(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, C, H, W) as a TFLite file takes it."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def unsigned(steps: NDArray[np.int8]) -> NDArray[np.uint8]:
    """int8 (N, H, W, C) as the plan's uint8 (N, C, H, W)."""
    return (steps.astype(np.int16) + 128).astype(np.uint8).transpose(0, 3, 1, 2)


def step_differences(
    model: IntegerModel, image: NDArray[np.float32], *, merged: bool = False
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """For every node: how many steps LiteRT is off the reference, given the same inputs. `image`
    is (1, C, H, W). `merged`: only for nodes that hold a tensor of the network, so that XNNPACK
    merges the others into them, as it does in the file that is exported."""
    names = [node.name for node in model.nodes if node.value or not merged]
    values = Session(emit_int8(model, outputs=names)).run(channels_last(image))
    found = {name: unsigned(values[name]) for name in names}
    for node in model.nodes[1:]:
        wanted = run_node(model, node, [found[i] for i in node.inputs])
        if node.name not in found:
            found[node.name] = wanted
            continue
        yield node.name, np.abs(found[node.name].astype(np.int64) - wanted.astype(np.int64))


def moved_to(model: IntegerModel, rules: Rules) -> IntegerModel:
    """The same integers under other rules, which keep the same tensors in 8 bits."""
    found = restamped(model, rules, None)
    assert found is not None
    return found
