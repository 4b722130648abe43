"""Output scales in simple ratios to those of their inputs are left, since runtimes round ties
differently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spacedsl.compiler.export import integer_model, seeded
from spacedsl.compiler.int8 import Int8Node, Int8Op
from spacedsl.compiler.integer_model import Quantiser, from_range
from spacedsl.compiler.ties import MOST, tie_share, without_ties
from tests.compiler.onnx_support import library_blocks, net_around

SIX = from_range(0.0, 6.0)


def node(op: Int8Op) -> Int8Node:
    return Int8Node(name="n", op=op, inputs=("a", "b"), shape=(1, 1, 1))


def test_a_scale_of_exactly_twice_its_inputs_is_made_narrower() -> None:
    """Half of all pairs that are not clipped lie on a tie; afterwards none does, and the greatest
    value is at most a quarter of a step less."""
    twice = from_range(0.0, 12.0)
    assert tie_share(node("add"), [SIX, SIX], twice) == pytest.approx(0.5, abs=0.01)
    found = without_ties(node("add"), [SIX, SIX], twice)
    assert tie_share(node("add"), [SIX, SIX], found) <= MOST
    assert 0 < 255 - 255 * found.write / twice.write <= 0.25


@pytest.mark.parametrize("op", ["add", "mul", "shift"])
@pytest.mark.parametrize("ratio", [1 / 2, 3 / 2, 5 / 8, 3 / 64, 1 / 256])
def test_simple_ratios_of_scales_are_left(op: Int8Op, ratio: float) -> None:
    reads = [Quantiser(write=s, read=s, zero_point=z) for s, z in ((0.5, 7), (0.25, 128))]
    made = {"add": 0.5, "mul": 0.125, "shift": 0.5}[op] / ratio
    readers = reads[:1] if op == "shift" else reads
    wanted = Quantiser(write=made, read=made, zero_point=100)
    found = without_ties(node(op), readers, wanted)
    assert tie_share(node(op), readers, found) <= MOST
    assert found.write == found.read == float(np.float32(found.write))
    assert found.write == pytest.approx(made, rel=0.02)


def test_other_scales_and_fixed_ones_stay_as_they_are() -> None:
    odd = from_range(-1.2345, 3.21)
    assert without_ties(node("add"), [SIX, from_range(-2.1, 4.7)], odd) == odd
    assert without_ties(node("conv"), [SIX], from_range(0.0, 12.0)) == from_range(0.0, 12.0)


def test_joined_channels_are_not_rescaled_by_one_half() -> None:
    twice = from_range(0.0, 12.0)
    found = without_ties(node("concat"), [SIX, twice], twice)
    assert tie_share(node("concat"), [SIX, twice], found) <= MOST
    assert without_ties(replace(node("concat"), shared=True), [SIX, twice], twice) == twice


def test_sums_that_have_the_quantiser_of_a_concat_make_no_ties() -> None:
    """Two relu6 that both reach 6 are joined with their sum, which has the quantiser of the whole:
    it suits the sum, which stands before the concat, and the concat."""
    block = next(block for block in library_blocks() if block.name == "c2f-1")
    free = tuple(p.model_copy(update={"default": None}) for p in block.params)
    block = block.model_copy(update={"params": free})
    model = integer_model(seeded(net_around(block, 2, 24, 35, "relu6"), 1))
    known = model.header.quantisers
    joined = [n for n in model.nodes if n.op in ("add", "concat") and not n.shared]
    assert [n.name for n in joined if n.op == "add" and n.like]
    for each in joined:
        assert tie_share(each, [known[i] for i in each.inputs], known[each.name]) <= MOST
        assert known[each.name] == known[each.like or each.name]
