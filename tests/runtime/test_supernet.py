"""The supernet: extraction is exact, weights are shared, sampling reaches every choice."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Pair
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.program import Layer, flat
from spacedsl_runtime.elastic.modules import ElasticConv
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.static import folded
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.errors import PlanError, SubnetError
from tests.laws.strategies import RANDOMS, members
from tests.passes.test_strides import UIB
from tests.runtime.support import (
    ONE_SPACES,
    assert_equal,
    images,
    multiply_accumulates,
    plan_of,
    shake,
    supernet_of,
)
from tests.support import item_of, library_space, page_of


def assert_exact(supernet: Supernet, subnet: Subnet) -> None:
    x = images(2, subnet, supernet.channels)
    with torch.no_grad():
        expected = supernet(x, subnet)
        found = supernet.extract_unchecked(subnet)(x)
    if not supernet.plan.taps:
        assert expected.shape == (2, supernet.classes)
    assert_equal(found, expected)


@settings(max_examples=20)
@given(RANDOMS)
def test_extraction_is_bit_equal_on_the_tiny_space(rng: random.Random) -> None:
    supernet = supernet_of("tiny-a")
    assert_exact(supernet, supernet.sample(rng))


@settings(max_examples=20)
@given(members(elastic=2, most=2), RANDOMS)
def test_extraction_is_bit_equal_on_any_space(space: Space, rng: random.Random) -> None:
    supernet = load_supernet(supernet_plan(space))
    shake(supernet)
    supernet.eval()
    assert_exact(supernet, supernet.sample(rng))


@pytest.mark.parametrize("name", ["vnni", "baselines/resnet50"])
def test_extraction_is_bit_equal_on_published_spaces(name: str) -> None:
    supernet, rng = supernet_of(name), random.Random(0)
    assert_exact(supernet, supernet.sample(rng, 33))
    assert_exact(supernet, supernet.smallest(32))


def test_extraction_is_bit_equal_where_any_of_two_ops_takes_the_stride() -> None:
    found = item_of(UIB.replace("FIRST", "0, 1").replace("MIDDLE", "1"), "s")
    assert isinstance(found, Space)
    supernet, rng = load_supernet(supernet_plan(found)), random.Random(0)
    shake(supernet)
    supernet.eval()
    for _ in range(8):
        assert_exact(supernet, supernet.sample(rng))


@pytest.mark.parametrize("name", ONE_SPACES)
def test_flops_and_parameters_are_the_compilers(name: str) -> None:
    space, rng = library_space(name), random.Random(2)
    supernet = supernet_of(name)
    other = 64 if space.pyramid else 40
    for resolution in (32, other, Pair(other, 32)):
        drawn = random_subnet(space, rng)
        subnet = drawn.model_copy(update={"resolution": resolution})
        static = folded(supernet.extract_unchecked(subnet).eval())
        cost = subnet_cost(subnet)
        assert multiply_accumulates(static, images(1, subnet, space.channels)) == cost.flops
        convolutions = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in static.modules())
        parameters = sum(p.numel() for p in static.parameters())
        assert parameters + 3 * convolutions == cost.params


def test_gradients_reach_the_active_slices_only() -> None:
    supernet = load_supernet(plan_of("tiny-a"))
    subnet = supernet.smallest()
    torch.autograd.backward(supernet(images(4, subnet), subnet).square().sum())
    active = {s.at: s for s in flat(supernet.program(subnet)) if isinstance(s, Layer)}
    for i, stage in enumerate(plan_of("tiny-a").stages):
        for j in range(max(stage.depths)):
            slots = supernet.get_submodule(f"stages.{i}.{j}")
            for slot, module in slots.named_children():
                if isinstance(module, ElasticConv):
                    check_gradient(module, active.get((i, j, slot)))


def check_gradient(module: ElasticConv, layer: Layer | None) -> None:
    grad = module.weights[0].grad
    if layer is None:
        assert grad is None
        return
    assert grad is not None
    mask = torch.zeros_like(grad, dtype=torch.bool)
    edge = (grad.shape[-1] - layer.kernel) // 2
    crop = slice(edge, edge + layer.kernel)
    mask[: layer.cout, : layer.fan_in, crop, crop] = True
    assert (grad[mask] != 0).any()
    assert (grad[~mask] == 0).all()


def test_subnets_share_their_weights() -> None:
    supernet = supernet_of("tiny-a")
    layer = next(s for s in flat(supernet.program(supernet.smallest())) if isinstance(s, Layer))
    conv = supernet.weights_at(layer)
    assert isinstance(conv, ElasticConv)
    assert conv.weight_of(layer).data_ptr() == conv.weights[0].data_ptr()


@pytest.mark.parametrize("name", ["tiny-a", "vnni", "baselines/attentivenas"])
def test_sampling_reaches_every_declared_choice(name: str) -> None:
    plan, supernet, rng = plan_of(name), supernet_of(name), random.Random(3)
    drawn = [supernet.sample(rng) for _ in range(400)]
    assert {s.resolution for s in drawn} == set(plan.resolutions)
    for i, stage in enumerate(plan.stages):
        blocks = [s.stages[i].blocks for s in drawn]
        assert {len(b) for b in blocks} == set(stage.depths)
        assert {b.width for found in blocks for b in found} == set(stage.widths or (0,))
        for param in stage.choices[0].chosen:
            values = {b.setting(param.name) for found in blocks for b in found}
            assert values == set(param.values)


def test_a_run_leaves_no_trace() -> None:
    """Active choices are an argument: order of calls does not matter."""
    supernet = supernet_of("tiny-a")
    small, large = supernet.smallest(), supernet.largest()
    with torch.no_grad():
        before = supernet(images(2, small), small)
        supernet(images(2, large), large)
        assert torch.equal(supernet(images(2, small), small), before)


def test_recalibration_gives_the_statistics_of_the_batches() -> None:
    supernet = supernet_of("tiny-a")
    subnet = supernet.largest()
    static = supernet.extract(subnet)
    batches = [images(n, subnet) for n in (8, 9, 10)]
    recalibrate(static, batches)
    stem = static.get_submodule("stem_0_conv0.conv")
    norm = static.get_submodule("stem_0_conv0.norm")
    with torch.no_grad():
        means = [stem(x).mean(dim=(0, 2, 3)) for x in batches]
    assert torch.allclose(norm.get_buffer("running_mean"), torch.stack(means).mean(0), atol=1e-5)
    assert not static.training
    again = recalibrate(supernet.extract(subnet), batches)
    x = images(2, subnet)
    assert torch.equal(again(x), static(x))


def test_the_same_seed_gives_the_same_weights() -> None:
    a, b, c = (load_supernet(plan_of("tiny-a"), seed=s).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_channels_and_classes_come_from_the_data() -> None:
    supernet = load_supernet(plan_of("tiny-a"), channels=1, classes=7).eval()
    subnet = supernet.smallest()
    assert_exact(supernet, subnet)
    assert supernet(images(2, subnet, 1), subnet).shape == (2, 7)


def test_a_stem_whose_widths_follow_the_channels_says_so() -> None:
    text = (
        "language 1\nspace odd { input 3 x 32\n"
        "stem { conv 3x3 -> cin * 4 relu strided  conv 1x1  width 8  stride 2 }\n"
        "head { pool  linear -> 10 } }\n"
    )
    space = page_of(text).get("odd")
    assert isinstance(space, Space)
    plan = supernet_plan(space)
    load_supernet(plan, channels=3)
    with pytest.raises(PlanError, match=r"compiled for 3 channels .* the data have 1"):
        load_supernet(plan, channels=1)


def test_wrong_images_and_strangers_are_refused() -> None:
    supernet = supernet_of("tiny-a")
    subnet = supernet.smallest()
    with pytest.raises(SubnetError, match=r"images of \(3, 32, 32\), smallest takes \(3, 24, 24\)"):
        supernet(torch.zeros(1, 3, 32, 32), subnet)
    with pytest.raises(SubnetError, match="resolution 28 is not one of 24, 32"):
        supernet.extract(subnet.model_copy(update={"resolution": 28}))


def test_it_runs_under_autocast() -> None:
    supernet = supernet_of("tiny-a")
    subnet = supernet.largest()
    x = images(2, subnet)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = supernet(x, subnet)
        assert torch.equal(found, supernet.extract(subnet)(x))
    assert found.dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_it_can_be_traced_whole_by_torch_compile() -> None:
    """`aot_eager`: what Dynamo and AOT autograd see, without a C++ compiler's minutes."""
    torch.compiler.reset()
    supernet = supernet_of("tiny-a")
    compiled = torch.compile(supernet, backend="aot_eager", fullgraph=True, dynamic=False)
    for subnet in (supernet.largest(), supernet.smallest()):
        x = images(2, subnet)
        with torch.no_grad():
            assert torch.allclose(compiled(x, subnet), supernet(x, subnet), atol=1e-5)
