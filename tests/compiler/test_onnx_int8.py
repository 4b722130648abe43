"""INT8 ONNX: all integer kernels, and each within one step of the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import numpy_helper

from spacedsl.compiler.export import fp32_onnx, int8_onnx
from spacedsl.compiler.onnx_int8 import emit_int8
from spacedsl.compiler.parameters import images
from spacedsl.compiler.reference import logits
from spacedsl.compiler.stamp import IMAGE
from spacedsl.compiler.stem import fold_weight, folded_window
from spacedsl.ir.block import Block
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from tests.compiler.onnx_support import (
    MODELS,
    assert_all_integer,
    library_blocks,
    net_around,
    open_session,
    seeded_model,
    step_differences,
)
from tests.laws.strategies import subnets
from tests.support import item_of, library_model, page_id

BLOCKS = [pytest.param(block, id=block.name) for block in library_blocks()]
PUBLISHED = [page_id(path) for path in MODELS]
SMALL = "models/tiny-a0"


@pytest.mark.parametrize("size", [24, 27])
@pytest.mark.parametrize(("stride", "width"), [(1, 16), (1, 24), (2, 16), (2, 24)])
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_runs_on_integer_kernels_within_one_step(
    block: Block, stride: int, width: int, size: int, tmp_path: Path
) -> None:
    net, model = seeded_model(net_around(block, stride, width, size, "hswish"))
    assert_all_integer(model, tmp_path)
    for name, off in step_differences(model, net.images):
        assert off.max() <= 1, name


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_every_activation_runs_on_integer_kernels(act: str, tmp_path: Path) -> None:
    block = next(b for b in library_blocks() if b.name == "mbv3")
    block = block.model_copy(
        update={"params": tuple(p.model_copy(update={"default": None}) for p in block.params)}
    )
    net, model = seeded_model(net_around(block, 2, 24, 25, act))
    assert_all_integer(model, tmp_path)
    assert all(off.max() <= 1 for _, off in step_differences(model, net.images))


@settings(max_examples=30, suppress_health_check=[*HealthCheck])
@given(subnet=subnets())
def test_random_blocks_too(subnet: Subnet, tmp_path_factory: pytest.TempPathFactory) -> None:
    net, model = seeded_model(subnet)
    assert_all_integer(model, tmp_path_factory.mktemp("net"))
    for name, off in step_differences(model, net.images):
        assert off.max() <= 1, name


@pytest.mark.parametrize("page", PUBLISHED)
def test_every_published_model_runs_on_integer_kernels(page: str, tmp_path: Path) -> None:
    _, model = seeded_model(library_model(page))
    assert_all_integer(model, tmp_path)


@pytest.mark.parametrize("page", ["models/seqnet-vnni-a0", "models/seqnet-pixel4-a0"])
def test_elements_that_are_off_by_one_are_rare(page: str) -> None:
    net, model = seeded_model(library_model(page))
    off = total = 0
    for name, steps in step_differences(model, net.images[:1]):
        assert steps.max() <= 1, name
        off, total = off + int(steps.sum()), total + steps.size
    assert total > 1_000_000
    assert off / total < 50e-6, f"{off} of {total}"


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("size", [24, 26])
def test_a_folded_stem_gives_the_same_integers(kernel: int, size: int) -> None:
    rng = np.random.default_rng(kernel)
    x = rng.integers(-9, 9, (1, 3, size, size)).astype(np.float64)
    weight = rng.integers(-127, 128, (5, 3, kernel, kernel)).astype(np.int8)
    blocks = x.reshape(1, 3, size // 2, 2, size // 2, 2).transpose(0, 3, 5, 1, 2, 4)
    folded = folded_window(kernel)
    plain = convolve(x, weight, 2, (kernel // 2, kernel // 2))
    found = convolve(
        blocks.reshape(1, 12, size // 2, size // 2), fold_weight(weight), 1, folded.pads
    )
    assert np.array_equal(plain, found)


def convolve(
    x: NDArray[np.float64], weight: NDArray[np.int8], stride: int, edge: tuple[int, int]
) -> NDArray[np.float64]:
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.float64)))


def test_the_reference_runs_the_whole_net_as_onnx_runtime_does() -> None:
    net, model = seeded_model(library_model(SMALL))
    pictures = images(net.plan.graph.input, 64, 7)
    data = int8_onnx(net)
    (found,) = open_session(data).run(None, {IMAGE: pictures})
    assert (found.argmax(1) == logits(model, pictures).argmax(1)).mean() > 0.95


def test_int8_logits_follow_the_float_network() -> None:
    net, _ = seeded_model(library_model(SMALL))
    pictures = images(net.plan.graph.input, 64, 7)
    (exact,) = open_session(fp32_onnx(net)).run(None, {IMAGE: pictures})
    (found,) = open_session(int8_onnx(net)).run(None, {IMAGE: pictures})
    assert found.shape == exact.shape == (64, 10)
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.97


def test_a_constant_of_0_has_the_steps_of_its_input() -> None:
    """Of a sum that only clips (a relu behind a concat). With a step of 1 the sum was made in steps
    of 1 on ARM: 19 of 1.5 million elements came out a step off there, and none since."""
    space = item_of(
        "language 1\nspace s {\n  input 3 x 16\n"
        "  stem { concat { conv 3x3 -> 8 } { conv 1x1 -> 8 } relu  width 16 }\n"
        "  head { pool  linear -> 4 }\n}\n",
        "s",
    )
    assert isinstance(space, Space)
    _, model = seeded_model(largest(space))
    (clip,) = [n for n in model.nodes if n.op == "shift"]
    (scale,) = (
        constant
        for constant in emit_int8(model).graph.initializer
        if constant.name == f"{clip.name}.offset.scale"
    )
    assert numpy_helper.to_array(scale) == np.float32(model.header.quantisers[clip.inputs[0]].read)
