"""Windows and maps that are not square, even kernels, dilation, no padding and space to depth: the
same numbers in torch, in the integers' reference and in both runtimes' integer kernels."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from spacedsl.compiler.supernet import supernet_plan
from spacedsl.compiler.supernet_file import json_text, load_supernet_plan, plan_json
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.ir.expr import Num
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest, random_subnet
from spacedsl.ir.space import Space
from spacedsl.json_files import sealed_text
from spacedsl.lang.write import write
from spacedsl.operators.size import Pair, Size, as_number, pair
from spacedsl.operators.window import Window
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.kernels import Kernel, kernels
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.targets.features import features
from spacedsl.targets.profile_file import NetRecord, kernel_words
from spacedsl_runtime.elastic.supernet import load_supernet
from tests.compiler import tflite_support
from tests.compiler.onnx_support import optimised_ops, seeded_model, step_differences
from tests.support import page_of

PAGE = """language 1

block across(kernel) {
  conv 1x1 -> round8(cin * 2) relu
  dwconv kernel relu strided
  conv 1x1
  shortcut projected
}

space windows {
  input 1 x 48x10, 48x20
  stem { conv 5x3 relu s2x1 dilation 2x1  width 8 }
  stage1 { space-to-depth 2  conv 1x1 -> cout hswish  width 16 }
  stage2 { across { kernel 3x1, 3, 5x3 }  width 16, 24  depth 1..2  stride 2x1 }
  stage3 { across { kernel 4x2, 6x4 }  width 24  stride 1x2 }
  stage4 { conv 3x2 -> 24 relu  avgpool 2x3 s2  conv 1x1  width 32 }
  patch { conv 2x1 valid strided  width 16  stride 2x1 }
  head { pool  linear -> 12 }
}
"""


def kernels_of(site: Site) -> tuple[Kernel, ...]:
    return kernels(layers(site.bind()))


def windows() -> Space:
    found = page_of(PAGE).get("windows")
    assert isinstance(found, Space)
    return found


def test_the_page_comes_back() -> None:
    space = windows()
    again = page_of(write(space)).get("windows")
    assert again == space
    assert "48x10, 48x20" in write(space)
    assert write(space).count("3x1, 3, 5x3") == 1


@pytest.mark.parametrize(
    ("said", "same"), [("kernel 3x3", "kernel 3"), ("input 1 x 32x32", "input 1 x 32")]
)
def test_a_square_is_said_by_one_number_or_two(said: str, same: str) -> None:
    text = 'language 1\nuse "std/blocks.space"\nspace s { input 1 x 32  stage0 { mbv2 { kernel 3 '
    text += " expand 2 }  width 8 }  head { pool  linear -> 2 } }\n"
    assert same in text
    one, two = (page_of(t).get("s") for t in (text, text.replace(same, said)))
    assert isinstance(one, Space)
    assert isinstance(two, Space)
    assert one == two
    assert space_identity(one) == space_identity(two)


def test_sizes_have_one_form_and_an_order() -> None:
    sizes: list[Size] = [Pair(10, 4), 3, Pair(4, 10), 7, Pair(1, 3)]
    assert [str(size) for size in sorted(sizes)] == ["1x3", "3", "4x10", "10x4", "7"]
    assert len({as_number(Pair(a, b)) for a in range(1, 32) for b in range(1, 32) if a != b}) == 930
    assert Num(value=Pair(10, 4)) == Num.model_validate_json('{"value": [10, 4]}')


@pytest.mark.parametrize(
    ("window", "size", "out", "pads"),
    [
        (Window(Pair(10, 4), 2), Pair(49, 10), Pair(25, 5), (Pair(4, 1), Pair(5, 1))),  # as TF
        (Window(4, 4, valid=True), Pair(33, 16), Pair(8, 4), (0, 0)),
        (Window(3, 1, 2), Pair(8, 5), Pair(8, 5), (2, 2)),
        (Window(2, 2), Pair(5, 4), Pair(3, 2), (0, Pair(1, 0))),
    ],
)
def test_windows_on_maps(window: Window, size: Pair, out: Pair, pads: object) -> None:
    assert window.output(size) == out
    assert window.pads(size) == pads


def test_files_of_both_runtimes_compute_what_the_reference_does(tmp_path: Path) -> None:
    space = windows()
    for subnet in (largest(space), random_subnet(space, random.Random(0))):
        net, model = seeded_model(subnet)
        for name, steps in step_differences(model, net.images[:1]):
            assert steps.max() <= 1, name
        ops = optimised_ops(model, tmp_path)
        assert (ops["QuantizeLinear"], ops["DequantizeLinear"]) == (1, 1)
        net, model = tflite_support.litert_model(subnet)
        for name, steps in tflite_support.step_differences(model, net.images[:1]):
            assert steps.max() <= 1, name
        assert tflite_support.own_operators(emit_int8(model)) == Counter()


def test_a_supernet_runs_every_window_as_the_extracted_network_does() -> None:
    space = windows()
    supernet, rng = load_supernet(supernet_plan(space)).eval(), random.Random(0)
    for subnet in (supernet.largest(), supernet.smallest(), supernet.sample(rng)):
        x = torch.randn(2, 1, *pair(subnet.resolution), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            found, alone = supernet(x, subnet), supernet.extract(subnet).eval()(x)
        assert isinstance(found, torch.Tensor)
        assert torch.equal(found, alone)


def test_maps_get_smaller_as_their_strides_say() -> None:
    sizes = stage_sizes(windows(), Pair(48, 10))
    assert list(map(str, sizes)) == ["48x10", "24x10", "12x5", "6x5", "6x3", "3x2", "1x2"]


def test_latency_kernels_of_windows_are_kept_in_profiles() -> None:
    found = [k for stage in subnet_sites(largest(windows())) for s in stage for k in kernels_of(s)]
    assert {str(k.size) for k in found} >= {"48x20", "24x20", "12x10"}
    assert any(k.dilation == Pair(2, 1) for k in found)
    assert any(k.valid for k in found)
    record = NetRecord(
        space="",
        hash="",
        kernels=tuple(map(kernel_words, found)),
        kernel_ms=(1.0,) * len(found),
        kernel_nodes=(1,) * len(found),
        net_ms=1.0,
        split_half=0.0,
        steady=True,
    )
    again = NetRecord.model_validate_json(record.model_dump_json())
    assert [Kernel(*words) for words in again.kernels] == found
    points, basis = features([k for k in found if k.kind == "conv-bn-relu"])
    assert np.isfinite(points).all()
    assert np.isfinite(basis).all()


def test_a_plan_of_pairs_comes_back(tmp_path: Path) -> None:
    plan = supernet_plan(windows())
    path = tmp_path / "plan.json"
    path.write_text(sealed_text(json_text(plan_json(plan))), encoding="utf-8")
    assert load_supernet_plan(path) == plan
