"""What the tests of lowering share: seeded models, ORT's view of them, nets around one block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from spacedsl.compiler.export import Seeded, integer_model, seeded
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.onnx_build import QUANTISED, check
from spacedsl.compiler.onnx_int8 import emit_int8
from spacedsl.compiler.pad import padded_channels
from spacedsl.compiler.reference import run_node
from spacedsl.compiler.stamp import IMAGE
from spacedsl.hosts.host import options_here
from spacedsl.ir.block import Block
from spacedsl.ir.expr import Binary, Num, Ref
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Arg, BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activation import X
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes import onnxruntime
from tests.laws.strategies import head, stem
from tests.support import PAGES, SPACES, library_page, page_id

MODELS = sorted(p for p in PAGES if p.parent == SPACES / "models")

INTEGER_OPS = {
    "QLinearConv",
    "QLinearAdd",
    "QLinearConcat",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "QLinearGlobalAveragePool",
    "QLinearAveragePool",
    "QGemm",
}
"""Kernels on 8-bit tensors."""

OF_ANY_TYPE = {"MaxPool", "NhwcMaxPool", "Slice", "Split", "Gather", "Resize"}
"""Kernels on tensors of any type, which are integer if their input is no float."""

MOVES = {"Transpose", "Flatten", "Reshape", "SpaceToDepth"}

VALUES: dict[str, float] = {"kernel": 5, "expand": 2, "mid": 24, "group": 4}
"""Values of block parameters in tests; others are 1."""


def open_session(model: bytes | Path, optimised: Path | None = None) -> InferenceSession:
    """A session as commands open it here."""
    return onnxruntime.open_session(model, 1, options_here("onnxruntime"), optimised=optimised)


def outputs_of(model: bytes | Path, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """What a file gives by name, in its order."""
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {IMAGE: x}), strict=True))


ADDING = {"dense"}
"""Blocks whose stages say `width cin + 32` or the like; they have no stride."""


@lru_cache(maxsize=1)
def library_blocks() -> tuple[Block, ...]:
    """Every named block of every page of the library."""
    found: dict[str, Block] = {}
    for path in PAGES:
        page = library_page(page_id(path))
        items = [page.get(n) for n in page.names]
        blocks = [item for item in items if isinstance(item, Block)]
        for item in items:
            if isinstance(item, Space):
                blocks += [c.block for s in item.stages for c in s.choices if c.block.name]
        found |= {block.name: block for block in blocks}
    return tuple(found.values())


def net_around(block: Block, stride: int, width: int, resolution: int, act: str) -> Subnet:
    """A network of a stem, the block (16 channels in, `width` out) twice, and a head. A block that
    adds channels to those that come in adds `width`."""
    args = tuple(
        Arg(name=p.name, values=((p.default or act) if p.name == "act" else VALUES.get(p.name, 1),))
        for p in block.params
    )
    grows = block.name in ADDING
    middle = Stage(
        name="stage1",
        choices=(BlockChoice(block=block, args=args),),
        widths=() if grows else (width,),
        growth=Binary(op="+", left=Ref(name="cin"), right=Num(value=width)) if grows else None,
        window=0 if grows else 1,
        depths=(2,),
        stride=1 if grows else stride,
    )
    stages = (stem([16]), middle, head())
    space = Space(kind="space", name="s", resolutions=(resolution,), stages=stages)
    return largest(space)


def optimised_ops(model: IntegerModel, folder: Path) -> Counter[str]:
    """Op types of the graph that ONNX Runtime really runs."""
    import onnx

    path = folder / "optimised.onnx"
    open_session(check(emit_int8(model)), optimised=path)
    graph = onnx.load(path).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    found: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in OF_ANY_TYPE:
            assert producers[node.input[0]] != "DequantizeLinear", node.name
        found[node.op_type] += len(node.output) if node.op_type == "Split" else 1  # several slices
    return found


def assert_all_integer(model: IntegerModel, folder: Path) -> None:
    """One float op at each end, integer kernels between them, and one for each node planned; but
    for activations whose records say that they run in float, between quantisers of their own."""
    ops = optimised_ops(model, folder)
    calls = [ACTIVATIONS[node.op].onnx for node in model.nodes if in_float(node)]
    floats = Counter(call.op for found in calls for call in found)
    floats["QuantizeLinear"] = 1 + len(calls)
    outputs = len(model.header.plan.outputs())
    floats["DequantizeLinear"] = outputs + sum(
        call.inputs.count(X) for found in calls for call in found
    )
    for op, count in floats.items():
        assert ops.pop(op) == count, op
    assert set(ops) <= INTEGER_OPS | OF_ANY_TYPE | MOVES, ops
    integer = sum(count for op, count in ops.items() if op not in MOVES)
    moved = sum(node.op == "space-to-depth" for node in model.nodes)
    assert integer == len(model.nodes) - 1 - len(calls) - moved, ops


def in_float(node: Int8Node) -> bool:
    """Does ONNX Runtime compute a node in float?"""
    return node.op in ACTIVATIONS and "onnx" in ACTIVATIONS[node.op].floats


def pixels(x: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """The image (N, C, H, W), also where it was turned into blocks of 2 x 2 (N, 4 C, ...)."""
    if x.shape[1] == channels:
        return x
    n, _, height, width = x.shape
    blocks = x.reshape(n, 2, 2, channels, height, width)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, channels, 2 * height, 2 * width)


def plan_steps(
    model: IntegerModel, values: Mapping[str, NDArray[np.uint8]]
) -> dict[str, NDArray[np.uint8]]:
    """The plan's tensors (N, C, H, W) out of what a running ONNX graph returned, without the
    channels that its emitter adds."""
    found = {n.name: values[f"{n.name}{QUANTISED}"] for n in model.nodes}
    found["input"] = pixels(found["input"], model.nodes[0].shape[0])
    channels = padded_channels(model.header.plan, model.header.plan.rules)
    return {
        node.name: found[node.name].reshape(len(found["input"]), -1, *node.shape[1:])[
            :, channels[node.name].places
        ]
        for node in model.nodes
    }


def step_differences(
    model: IntegerModel, images: NDArray[np.float32]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """For every node: how many steps ONNX Runtime is off the reference, given the same inputs."""
    found = by_onnx_runtime(model, images)
    for node in model.nodes[1:]:
        wanted = run_node(model, node, [found[i] for i in node.inputs])
        yield node.name, np.abs(found[node.name].astype(np.int64) - wanted.astype(np.int64))


def by_onnx_runtime(
    model: IntegerModel, images: NDArray[np.float32]
) -> dict[str, NDArray[np.uint8]]:
    """The plan's tensors in the running ONNX graph."""
    names = [node.name for node in model.nodes]
    session = open_session(emit_int8(model, outputs=names).SerializeToString())
    wanted = [f"{name}{QUANTISED}" for name in names]
    return plan_steps(model, dict(zip(wanted, session.run(wanted, {IMAGE: images}), strict=True)))


def seeded_model(subnet: Subnet, seed: int = 0) -> tuple[Seeded, IntegerModel]:
    net = seeded(subnet, seed)
    return net, integer_model(net)
