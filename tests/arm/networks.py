"""The networks that are run: one around each block of the library, whole ones, a trained one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl import api
from spacedsl.compiler.export import integer_model, seeded
from spacedsl.compiler.integer_model import IntegerModel, load_model
from spacedsl.compiler.parameters import images
from spacedsl.compiler.ties import without_ties
from spacedsl.ir.block import Block
from spacedsl.ir.sampling import largest
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from tests.compiler.onnx_support import library_blocks, net_around

WHOLE = (
    *("seqnet-vnni-a0", "seqnet-pixel4-a0", "mobilenetv3-large-w1", "attentivenas-a0"),
    *("ds-cnn-s", "ghostnet-w1", "shufflenetv2-x1", "regnety-400mf"),
)
"""Those of the second line have groups, joined and shuffled channels, and windows and maps that are
not square."""

SHORT_BLOCKS = ("mbv3", "mbv2", "bottleneck-se")
"""Between them every activation as a gate or beside it, and sums."""


TIED_BLOCKS = ("mbv2",)
"""Those that are run with even sums too."""


@dataclass(frozen=True, slots=True)
class Case:
    """A network in integers and its images (N, C, H, W). `compared`: so many of them are compared
    tensor by tensor, the answers of all."""

    name: str
    kind: str
    model: IntegerModel
    images: NDArray[np.float32]
    compared: int = 1


def untrained(subnet: Subnet, name: str, kind: str, seed: int, count: int) -> Case:
    """A network with the weights of a seed."""
    net = seeded(subnet, seed)
    return Case(name, kind, integer_model(net), images(net.plan.graph.input, count, seed + 1))


def around_block(block: Block, position: int) -> Iterator[Case]:
    """Two networks around a block: stride 1 and 2, width kept and changed, an even and an odd size.
    Activations take turns."""
    free = tuple(p.model_copy(update={"default": None}) for p in block.params)
    block = block.model_copy(update={"params": free})
    for i, (stride, width, size) in enumerate(((1, 16, 32), (2, 24, 35))):
        act = list(ACTIVATIONS)[(2 * position + i) % len(ACTIVATIONS)]
        subnet = net_around(block, stride, width, size, act)
        yield untrained(subnet, f"{block.name}-{act}-s{stride}", "block", 2 * position + i, 1)


def block_cases(names: tuple[str, ...] | None = None) -> Iterator[Case]:
    """Networks around the blocks of the library, or around some of them."""
    chosen = [b for b in library_blocks() if names is None or b.name in names]
    for position, block in enumerate(chosen):
        yield from around_block(block, position)


def tied(case: Case) -> Case:
    """The network with sums whose inputs have one scale, and ranges of exactly twice that: what
    two tensors at the bound of relu6 would have, and the scale that is then chosen."""
    found = dict(case.model.header.quantisers)
    for node in case.model.nodes:
        if node.op == "add":
            even = found[node.inputs[0]].write
            for name in node.inputs:
                found[name] = found[name].model_copy(update={"write": even, "read": even})
            twice = found[node.name].model_copy(update={"write": 2 * even, "read": 2 * even})
            found[node.name] = without_ties(node, [found[i] for i in node.inputs], twice)
    header = case.model.header.model_copy(update={"quantisers": found})
    model = IntegerModel(header, case.model.weights)
    return replace(case, name=f"{case.name}-tied", model=model)


def whole_cases() -> Iterator[Case]:
    """Published and hand-made models, untrained, at their own resolution."""
    for name in WHOLE:
        model = api.load(name)
        assert isinstance(model, Subnet)
        yield untrained(model, name, "whole", 0, 2)


def trained_case() -> Case:
    """The digits, and the images that were not trained on."""
    from spacedsl_runtime.elastic.recalibrate import recalibrate
    from spacedsl_runtime.quant.deployment import deploy
    from tests.runtime import digits
    from tests.runtime.parity import extracted, int8_json

    space = digits.digits_space()
    data = digits.digits()
    model = largest(space)
    net = extracted(digits.trained_supernet(space, data).eval(), model)
    recalibrate(net, [data[0][:256], data[0][256:512]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        deploy(net, int8_json(model), path, mean=digits.HALF, std=digits.HALF)
        trained = load_model(path)
    return Case("digits", "trained", trained, data[0][-digits.UNSEEN :].numpy(), compared=100)


def cases(short: bool) -> Iterator[Case]:
    """Every network, or those of the short form."""
    yield from block_cases(SHORT_BLOCKS if short else None)
    yield from (tied(case) for case in block_cases(TIED_BLOCKS))
    yield trained_case()
    if not short:
        yield from whole_cases()
