"""Supernets of pages with taps: whole, extracted, in 8 bits, deployed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spacedsl.api import load_target
from spacedsl.compiler.reference import outputs
from spacedsl.compiler.supernet import SupernetPlan as Plan
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.diagnostics import SpaceError
from spacedsl.flows.train import train
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import pair
from spacedsl_runtime.elastic.modules import ElasticConv
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.errors import SubnetError
from spacedsl_runtime.quant.qat import QatSupernet
from tests.compiler.taps_support import eyes, peaks
from tests.runtime.parity import as_if_trained, by_litert, deployed, differences
from tests.runtime.support import images, shake, started

NAMES = ["stride4", "stride8", "stride16"]


@pytest.fixture(scope="module", params=[eyes, peaks], ids=lambda page: page.__name__)
def space(request: pytest.FixtureRequest) -> Space:
    found: Space = request.param()
    return found


@pytest.fixture(scope="module")
def supernet(space: Space) -> Supernet:
    found = load_supernet(supernet_plan(space))
    shake(found)
    return found.eval()


@pytest.fixture(scope="module")
def qat(space: Space) -> QatSupernet:
    plan = supernet_plan(space, load_target("vnni"))
    return as_if_trained(started(plan, drawn(plan, 2), channels=1), 5)


def drawn(of: Supernet | Plan, count: int) -> list[Subnet]:
    rng = random.Random(1)
    return [of.largest(), of.smallest(), *(of.sample(rng) for _ in range(count))]


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted) == NAMES
    for name, value in found.items():
        assert torch.allclose(value, wanted[name], atol=1e-5), name


def test_a_supernet_gives_the_maps_of_a_subnet(supernet: Supernet) -> None:
    for subnet in drawn(supernet, 4):
        x = images(2, subnet)
        maps = supernet(x, subnet)
        widths = {n: subnet.stages[i].blocks[-1].width for n, i in supernet.plan.taps.items()}
        if width := supernet.plan.space.pyramid:
            widths = dict.fromkeys(NAMES, width)
        sizes = [-(-pair(subnet.resolution)[0] // stride) for stride in (4, 8, 16)]
        shapes = [(2, widths[n], s, s) for n, s in zip(NAMES, sizes, strict=True)]
        assert [tuple(value.shape) for value in maps.values()] == shapes
        same(supernet.extract(subnet)(x), maps)


def test_a_level_adds_the_coarser_one_upsampled() -> None:
    """With weights that copy, and norms that do nothing but for their epsilon, each output is the
    sum of the maps up to it, each pixel of a coarser one repeated."""
    supernet = load_supernet(supernet_plan(peaks())).eval()
    subnet = supernet.smallest()
    stages = [m for m, s in zip(supernet.stages, supernet.plan.stages, strict=True) if s.level]
    for conv in (m for stage in stages for m in stage.modules() if isinstance(m, ElasticConv)):
        (weight,) = conv.weights
        weight.data.zero_()
        for i in range(min(weight.shape[:2])):
            weight.data[i, i, weight.shape[2] // 2, weight.shape[3] // 2] = 1.0
    x = images(2, subnet)
    maps, parts = x, list[Tensor]()
    for part in supernet.parts(subnet).values():
        maps = supernet.run_program(part, maps)
        parts.append(F.pad(maps, (0, 0, 0, 0, 0, 20))[:, :20])
    wanted, total = list[Tensor](), torch.zeros(())
    for map in reversed(parts):
        total = map + total.repeat_interleave(2, -1).repeat_interleave(2, -2) if wanted else map
        wanted.insert(0, total)
    found = supernet(x, subnet)
    for value, want in zip(found.values(), wanted, strict=True):
        assert torch.allclose(value, want, rtol=1e-3, atol=1e-4)


def test_a_map_that_does_not_fit_is_refused() -> None:
    supernet = load_supernet(supernet_plan(peaks()))
    subnet = supernet.smallest(44)
    with pytest.raises(SubnetError, match="is 11 x 11, upsampled to it is 12 x 12"):
        supernet(images(1, subnet), subnet)


def test_every_map_has_a_gradient_to_the_stem(space: Space) -> None:
    supernet = load_supernet(supernet_plan(space)).train()
    subnet = supernet.largest()
    stem = next(supernet.stages[0].parameters())
    for name in NAMES:
        supernet.zero_grad()
        torch.autograd.backward(supernet(images(2, subnet), subnet)[name].square().sum())
        assert stem.grad is not None
        assert bool((stem.grad != 0).any())


def test_recomputed_maps_are_the_same(supernet: Supernet, qat: QatSupernet) -> None:
    for net in (supernet, qat):
        subnet = net.supernet.largest() if isinstance(net, QatSupernet) else net.largest()
        x = images(2, subnet, 1 if net is qat else 3)
        same(net(x, subnet, True, True), net(x, subnet))


def test_in_8_bits_an_extracted_one_is_the_supernet_s(qat: QatSupernet) -> None:
    for subnet in drawn(qat.supernet, 2):
        x = images(2, subnet, 1)
        with torch.no_grad():
            same(qat.extract(subnet)(x), qat(x, subnet))


def test_what_is_trained_is_what_is_deployed(
    qat: QatSupernet, space: Space, tmp_path: Path
) -> None:
    """Torch, the reference and LiteRT hold the same steps; the page's three channels became one."""
    subnet = drawn(qat.supernet, 1)[-1]
    x = images(2, subnet, 1)
    net = recalibrate(qat.extract(subnet), [x])
    of_page = subnet.model_copy(update={"of": space})
    pair = deployed(net, of_page, tmp_path)
    for name, off in differences(pair, x, by_litert):
        assert off.max() <= 1, name
    with torch.no_grad():
        found = net(x)
    wanted = outputs(pair.model, x.numpy())
    assert list(wanted) == NAMES
    for name, value in found.items():
        assert np.abs(value.numpy() - wanted[name]).max() < 1e-5


def test_training_on_labels_says_what_to_do_instead(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"(?s)`train` needs logits.*docs/howto/detector.md"):
        train(eyes(), "digits", tmp_path)
