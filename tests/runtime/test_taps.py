"""Supernets of pages with taps: whole, extracted, in 8 bits, deployed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spacedsl.api import load_target
from spacedsl.compiler.reference import outputs
from spacedsl.compiler.supernet import SupernetPlan as Plan
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.diagnostics import SpaceError
from spacedsl.flows.train import train
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import pair
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from tests.compiler.taps_support import eyes
from tests.runtime.parity import as_if_trained, by_litert, deployed, differences
from tests.runtime.support import images, shake, started

NAMES = ["stride4", "stride8", "stride16"]


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    found = load_supernet(supernet_plan(eyes()))
    shake(found)
    return found.eval()


@pytest.fixture(scope="module")
def qat() -> QatSupernet:
    plan = supernet_plan(eyes(), load_target("vnni"))
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
        sizes = [-(-pair(subnet.resolution)[0] // stride) for stride in (4, 8, 16)]
        shapes = [(2, widths[n], s, s) for n, s in zip(NAMES, sizes, strict=True)]
        assert [tuple(value.shape) for value in maps.values()] == shapes
        same(supernet.extract(subnet)(x), maps)


def test_every_map_has_a_gradient_to_the_stem() -> None:
    supernet = load_supernet(supernet_plan(eyes())).train()
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


def test_what_is_trained_is_what_is_deployed(qat: QatSupernet, tmp_path: Path) -> None:
    """Torch, the reference and LiteRT hold the same steps; the page's three channels became one."""
    subnet = drawn(qat.supernet, 1)[-1]
    x = images(2, subnet, 1)
    net = recalibrate(qat.extract(subnet), [x])
    of_page = subnet.model_copy(update={"of": eyes()})
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
