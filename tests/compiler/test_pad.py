"""Padding changes what runs, never what comes out."""

from __future__ import annotations

import numpy as np
import pytest

from spacedsl.compiler.export import integer_model, seeded
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.onnx_int8 import emit_int8
from spacedsl.compiler.pad import pad_channels, padded_channels
from spacedsl.compiler.parameters import images
from spacedsl.compiler.stamp import IMAGE
from spacedsl.ir.block import Block
from spacedsl.runtimes.table import ONNXRUNTIME
from tests.compiler.onnx_support import library_blocks, net_around, open_session
from tests.support import library_model

BLOCKS = [block for block in library_blocks() if "dwconv" in block.model_dump_json()]
DEPTHWISE = [pytest.param(block, id=block.name) for block in BLOCKS]
PLAIN = [
    pytest.param(block, id=block.name)
    for block in BLOCKS
    if '"shuffle"' not in block.model_dump_json()  # which counts channels
]


def models(block: Block) -> tuple[IntegerModel, IntegerModel]:
    """One network with padding and without; its second block has 20 channels, 40 in the middle."""
    net = seeded(net_around(block, 2, 20, 25, "hswish"), 0)
    plain = ONNXRUNTIME.rules.model_copy(update={"depthwise_multiple": 1, "dense_outputs": 1})
    return integer_model(net), integer_model(net, plain)


@pytest.mark.parametrize("block", DEPTHWISE)
def test_padding_leaves_every_integer(block: Block) -> None:
    same(*models(block))


def same(padded: IntegerModel, plain: IntegerModel) -> None:
    """Asserts that every tensor holds the same integers in both."""
    pictures = images(plain.header.plan.network.input, 4, 5)
    names = [node.name for node in plain.nodes[1:]]
    (logits, *found), (same_logits, *wanted) = (
        open_session(emit_int8(model, outputs=names).SerializeToString()).run(
            None, {IMAGE: pictures}
        )
        for model in (padded, plain)
    )
    assert np.array_equal(logits, same_logits)
    places, same_places = (
        padded_channels(m.header.plan, m.header.plan.rules) for m in (padded, plain)
    )
    for name, one, other in zip(names, found, wanted, strict=True):
        kept, same_kept = places[name].places, same_places[name].places
        assert np.array_equal(one[:, kept], other[:, same_kept])


@pytest.mark.parametrize("block", PLAIN)
def test_depthwise_convolutions_run_on_multiples(block: Block) -> None:
    model, _ = models(block)
    nodes = model.nodes
    assert any(node.shape[0] % 16 for node in nodes if node.op == "dwconv")
    found = pad_channels(model, ONNXRUNTIME.rules).nodes
    assert all(node.shape[0] % 16 == 0 for node in found if node.op == "dwconv")
    assert (found[0].shape, found[-1].shape) == (nodes[0].shape, nodes[-1].shape)


def test_narrow_dense_convolutions_make_16_channels() -> None:
    net = seeded(library_model("models/tiny-a0"), 0)
    rules = ONNXRUNTIME.rules
    model = integer_model(net)
    narrow = [n.name for n in model.nodes if n.op == "conv" and n.kernel > 1 and n.shape[0] < 16]
    assert narrow
    shapes = {n.name: n.shape[0] for n in pad_channels(model, rules).nodes}
    assert all(shapes[name] == rules.dense_outputs for name in narrow)
    same(model, integer_model(net, rules.model_copy(update={"dense_outputs": 1})))


def test_what_no_such_convolution_touches_stays() -> None:
    block = next(b for b in library_blocks() if b.name == "fused")
    model = integer_model(seeded(net_around(block, 1, 24, 24, "relu"), 0))
    plan = model.header.plan
    found = padded_channels(plan, ONNXRUNTIME.rules)
    assert all(found[node.name].count == node.shape[0] for node in plan.graph.nodes)


def test_joined_channels_are_padded_part_by_part() -> None:
    """Twelve channels and their depthwise convolution, joined: the ones that are added stand behind
    each twelve, so the block behind reads zeros in between."""
    block = next(b for b in library_blocks() if b.name == "ghost")
    padded, plain = models(block)
    rules = ONNXRUNTIME.rules
    channels = padded_channels(padded.header.plan, rules)
    joins = [node for node in padded.nodes if node.op == "concat"]
    assert [node.shape[0] for node in joins] == [24, 20] * 2
    assert all(channels[node.name].count == 32 for node in joins)
    for node in joins:
        half = node.shape[0] // 2
        assert channels[node.name].places.tolist() == [*range(half), *range(16, 16 + half)]
    wider = pad_channels(padded, rules).weights
    behind = [node for node in padded.nodes if node.op == "conv" and node.shape[0] == 10]
    reading = next(node for node in behind if channels[node.inputs[0]].count == 32)
    read = wider[reading.source].weight
    assert read.shape[1] == 32
    assert not read[:, 12:16].any()
    same(padded, plain)
