"""INT8 TFLite: what XNNPACK takes, and each operator within one step of the reference."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacedsl.compiler.export import (
    fp32_onnx,
    fp32_tflite,
    int8_tflite,
    integer_model,
    seeded,
)
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.onnx_build import check
from spacedsl.compiler.onnx_int8 import emit_int8 as onnx_int8
from spacedsl.compiler.parameters import images
from spacedsl.compiler.retarget import restamped
from spacedsl.compiler.stamp import IMAGE
from spacedsl.compiler.stamps import tflite_stamp
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.compiler.tflite_window import GROUP, grouped
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.block import Block, Conv, Pool
from spacedsl.ir.expr import Num
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes.litert import Session
from spacedsl.runtimes.table import LITERT, ONNXRUNTIME
from tests.compiler.onnx_support import MODELS, library_blocks, net_around, open_session
from tests.compiler.tflite_support import (
    channels_last,
    litert_model,
    moved_to,
    own_operators,
    step_differences,
)
from tests.laws.strategies import subnets
from tests.support import library_model, page_id

BLOCKS = [pytest.param(b, id=b.name) for b in library_blocks()]
PUBLISHED = [page_id(path) for path in MODELS]
SMALL = "models/tiny-a0"


@pytest.mark.parametrize("size", [24, 27])
@pytest.mark.parametrize(("stride", "width"), [(1, 16), (1, 24), (2, 16), (2, 24)])
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_delegated_and_within_one_step(
    block: Block, stride: int, width: int, size: int
) -> None:
    net, model = litert_model(net_around(block, stride, width, size, "hswish"))
    assert not own_operators(emit_int8(model))
    for name, off in step_differences(model, net.images):
        assert off.max() <= 1, name


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_every_activation_is_delegated(act: str) -> None:
    block = next(b for b in library_blocks() if b.name == "mbv3")
    block = block.model_copy(
        update={"params": tuple(p.model_copy(update={"default": None}) for p in block.params)}
    )
    net, model = litert_model(net_around(block, 2, 24, 25, act))
    assert not own_operators(emit_int8(model))
    for merged in (False, True):
        for name, off in step_differences(model, net.images, merged=merged):
            assert off.max() <= 1, name


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[*HealthCheck])
@given(subnet=subnets())
def test_random_blocks_too(subnet: Subnet) -> None:
    net, model = litert_model(subnet)
    assert not own_operators(emit_int8(model))
    for merged in (False, True):
        for name, off in step_differences(model, net.images, merged=merged):
            assert off.max() <= 1, name


@pytest.mark.parametrize(
    ("op", "factor"),
    [("shift", 1e3), ("shift", 1e4), ("add", 1e-3), ("add", 1e4), ("mul", 1e-7)],
)
def test_steps_far_from_those_of_the_result(op: str, factor: float) -> None:
    """XNNPACK takes less than 2^8 of the result's. What LiteRT's own operators make of more is
    wrong from end to end: in gates, where what goes in is far greater, and in sums and products."""
    block = next(b for b in library_blocks() if b.name == "mbv3")
    net, model = litert_model(net_around(block, 1, 16, 8, "hswish"))
    node = [node for node in model.nodes if node.op == op][-1]
    name = node.inputs[0] if op == "shift" else node.name
    was = model.header.quantisers[name]
    far = {k: float(np.float32(getattr(was, k) * factor)) for k in ("write", "read")}
    quantisers = {**model.header.quantisers, name: was.model_copy(update=far)}
    header = model.header.model_copy(update={"quantisers": quantisers})
    model = replace(model, header=header)
    assert not own_operators(emit_int8(model))
    for tensor, off in step_differences(model, net.images):
        assert off.max() <= 1, tensor


@pytest.mark.parametrize("size", [24, 25, 26, 28])
@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("op", ["maxpool", "avgpool"])
def test_pools_of_any_window_and_padding(
    op: Literal["maxpool", "avgpool"], kernel: int, act: str | None, size: int
) -> None:
    """TFLite's own paddings fit some of them only; without relu zero is not the least value."""
    pool = Pool(op=op, kernel=Num(value=kernel), stride=2)
    conv = Conv(kernel=Num(value=3), act=act)
    net, model = litert_model(net_around(Block(ops=(conv, pool)), 1, 16, size, "relu"))
    for name, off in step_differences(model, net.images):
        assert off.max() <= 1, name
    image = net.images[:1]
    (exact,) = open_session(fp32_onnx(net)).run(None, {IMAGE: image})
    found = Session(fp32_tflite(net)).run(channels_last(image))[LOGITS]
    assert np.allclose(exact, found, rtol=1e-3, atol=1e-3 * np.abs(exact).max())


@pytest.mark.parametrize("channels", [8, 88, 96, 131])
@pytest.mark.parametrize("kernel", [3, 7])
def test_grouped_kernels_are_the_depthwise_ones(kernel: int, channels: int) -> None:
    rng = np.random.default_rng(kernel)
    weight = rng.integers(-127, 128, (channels, 1, kernel, kernel)).astype(np.int8)
    found = grouped(weight)
    group = found.shape[1]
    assert channels % group == 0
    assert group <= GROUP
    for channel in range(channels):
        assert np.array_equal(found[channel, channel % group], weight[channel, 0])
    assert np.count_nonzero(found) == np.count_nonzero(weight)


@pytest.mark.parametrize("page", PUBLISHED)
def test_every_published_model_is_delegated_and_agrees_with_onnx_runtime(page: str) -> None:
    """One integer model, two files. The nets are untrained, so that single steps grow on the way;
    still the runtimes must be nearer to each other than 8 bits are to the float network."""
    net = seeded(library_model(page), 0)
    model = integer_model(net, ONNXRUNTIME.rules)
    data = emit_int8(moved_to(model, LITERT.rules))
    assert not own_operators(data)
    assert not own_operators(fp32_tflite(net))
    pictures = images(net.plan.graph.input, 4, 5)
    ours = Session(data)
    found = np.concatenate([ours.run(channels_last(p[None]))[LOGITS] for p in pictures])
    exact, theirs = (
        np.concatenate([session.run(None, {IMAGE: p[None]})[0] for p in pictures])
        for session in (open_session(fp32_onnx(net)), open_session(check(onnx_int8(model))))
    )
    assert np.linalg.norm(found - theirs) < 0.8 * np.linalg.norm(theirs - exact)
    assert (found.argmax(1) == theirs.argmax(1)).mean() >= 0.75


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("page", ["models/seqnet-vnni-a0", "models/seqnet-pixel4-a1"])
def test_elements_that_are_off_by_one_are_rare(page: str, merged: bool) -> None:
    """Per kind of operator, for those that make a million elements; the others together."""
    net, model = litert_model(library_model(page))
    kinds = {node.name: node.op for node in model.nodes}
    off, total = Counter[str](), Counter[str]()
    for name, steps in step_differences(model, net.images[:1], merged=merged):
        assert steps.max() <= 1, name
        off[kinds[name]] += int(steps.sum())
        total[kinds[name]] += steps.size
    many = {kind for kind, count in total.items() if count > 1_000_000}
    assert many
    for group in [{kind} for kind in many] + [total.keys() - many]:
        count = sum(total[kind] for kind in group)
        assert sum(off[kind] for kind in group) < 50e-6 * max(count, 1_000_000), group


def test_another_runtimes_tensors_are_refused() -> None:
    _, model = litert_model(library_model(SMALL))
    with pytest.raises(SpaceError, match="those of litert, which runs no ONNX"):
        onnx_int8(model)
    with pytest.raises(SpaceError, match="those of onnxruntime, which runs no TFLite"):
        emit_int8(moved_to(model, ONNXRUNTIME.rules))
    rules = LITERT.rules.model_copy(
        update={"acts": tuple((a, "table" if a == "swish" else r) for a, r in LITERT.rules.acts)}
    )
    _, swish = litert_model(library_model("models/seqnet-pixel4-a0"))
    assert restamped(swish, rules, None) is None


def test_batches_of_any_size() -> None:
    net, model = litert_model(library_model(SMALL))
    pictures = channels_last(images(net.plan.graph.input, 4, 7))
    for data in (emit_int8(model), fp32_tflite(net)):
        alone = Session(data)
        one_by_one = np.concatenate([alone.run(p[None])[LOGITS] for p in pictures])
        together = Session(data).interpreter
        together.resize_tensor_input(together.get_input_details()[0]["index"], pictures.shape)
        together.allocate_tensors()
        found = together.get_signature_runner()(image=pictures)[LOGITS]
        assert found.shape == one_by_one.shape == (4, 10)
        assert np.allclose(found, one_by_one, atol=1e-4)


def test_int8_logits_follow_the_float_network() -> None:
    net, model = litert_model(library_model(SMALL))
    pictures = channels_last(images(net.plan.graph.input, 32, 7))
    exact, found = (
        np.concatenate([session.run(p[None])[LOGITS] for p in pictures])
        for session in (Session(fp32_tflite(net)), Session(emit_int8(model)))
    )
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.97


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_one_error_or_harmless(data: st.DataObject) -> None:
    """Only `SpaceError` may be raised."""
    whole = small_file()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with pytest.raises(SpaceError, match="bad-tflite"):
            Session(damaged)
    else:
        where, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
        damaged = whole[:where] + bytes([value]) + whole[where + 1 :]
    with contextlib.suppress(SpaceError):
        assert all(isinstance(text, str) for text in tflite_stamp(damaged, "a.tflite").values())


@lru_cache(maxsize=1)
def small_file() -> bytes:
    return int8_tflite(seeded(library_model(SMALL), 0))


@pytest.mark.parametrize("op", ["conv", "dwconv", "linear"])
def test_what_litert_would_not_load_is_refused(op: str) -> None:
    """XNNPACK refuses a file where one step of an input times one of a weight makes 2^8 steps of
    the result."""
    block = next(b for b in library_blocks() if b.name == "mbv3")
    _, model = litert_model(net_around(block, 1, 16, 8, "hswish"))
    node = [node for node in model.nodes if node.op == op][-1]
    quantisers, found = model.header.quantisers, model.weights[node.name]
    steps = quantisers[node.inputs[0]].read * found.scale.max() / quantisers[node.name].write

    def with_steps(wanted: float) -> IntegerModel:
        scale = (found.scale * np.float32(wanted / steps)).astype(np.float32)
        return replace(model, weights={**model.weights, node.name: found._replace(scale=scale)})

    assert not own_operators(emit_int8(with_steps(255)))
    with pytest.raises(SpaceError, match=f"`{node.name}` is 257 of the steps"):
        emit_int8(with_steps(257))


def test_joined_in_steps_far_from_their_own() -> None:
    """What comes into a stage that grows has steps of its own, and is joined in those of all."""
    block = next(b for b in library_blocks() if b.name == "dense")
    net, model = litert_model(net_around(block, 1, 16, 8, "hswish"))
    quantisers = model.header.quantisers
    source = next(
        name
        for node in model.nodes
        if node.op == "concat"
        for name in node.inputs
        if quantisers[name] != quantisers[node.name]
    )
    was = quantisers[source]
    far = {k: float(np.float32(getattr(was, k) * 1e4)) for k in ("write", "read")}
    header = {"quantisers": {**quantisers, source: was.model_copy(update=far)}}
    model = replace(model, header=model.header.model_copy(update=header))
    assert not own_operators(emit_int8(model))
    for tensor, off in step_differences(model, net.images):
        assert off.max() <= 1, tensor
