"""QAT as a mode of the supernet: quantisers on every 8-bit tensor of the target, and only there."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings

from spacedsl.api import load_target
from spacedsl.compiler.int8 import quantise_graph
from spacedsl.compiler.plans import network_plan
from spacedsl.compiler.qat import QatGraph, deployed, qat_graph
from spacedsl.compiler.supernet import SupernetPlan, supernet_plan
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.program import Address
from spacedsl.runtimes.table import ONNXRUNTIME
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.quant.stages import rules_of
from tests.laws.strategies import RANDOMS, members
from tests.runtime.support import (
    ONE_SPACES,
    assert_equal,
    images,
    plan_json,
    plan_of,
    started,
    target_plan,
)
from tests.support import library_space

VNNI = load_target("vnni")


def graph_of(subnet: Subnet, plan: SupernetPlan) -> QatGraph:
    return qat_graph(plan.program(subnet), plan.input_shape(subnet), rules_of(plan).rewrite)


def check_tensors(subnet: Subnet, plan: SupernetPlan) -> None:
    mine = list(deployed(graph_of(subnet, plan)))
    theirs = quantise_graph(network_plan(subnet).graph, ONNXRUNTIME.rules)
    assert tuple(each.node for each in mine) == theirs.nodes
    learned = {(each.edge, each.node.like or each.node.name) for each in mine if each.edge}
    keys, tensors = zip(*learned, strict=True)
    assert len(learned) == len(set(keys)) == len(set(tensors))


@settings(max_examples=60)
@given(members(), RANDOMS)
def test_the_8_bit_tensors_are_those_of_the_int8_plan(space: Space, rng: random.Random) -> None:
    plan = supernet_plan(space, VNNI)
    for subnet in (random_subnet(space, rng), smallest(space), largest(space)):
        check_tensors(subnet, plan)


@pytest.mark.parametrize("name", ONE_SPACES)
def test_so_they_are_for_every_space_of_the_library(name: str) -> None:
    space, rng = library_space(name), random.Random(1)
    for subnet in (smallest(space), largest(space), *(random_subnet(space, rng) for _ in range(3))):
        check_tensors(subnet, target_plan(name))


def test_keys_do_not_move_when_ops_are_left_out() -> None:
    """An optional convolution shifts the names of those after it, not their quantisers."""
    name, rng = "baselines/resnet50", random.Random(0)
    places: dict[str, set[Address]] = {}
    names: dict[str, set[str]] = {}
    for _ in range(20):
        for node in graph_of(random_subnet(library_space(name), rng), target_plan(name)):
            if node.weights is not None:
                places.setdefault(node.weights, set()).add(node.sizes.at)
                names.setdefault(node.weights, set()).add(node.node.name)
    assert all(len(found) == 1 for found in places.values())
    assert any(len(found) > 1 for found in names.values())


def test_every_quantiser_is_found_by_covering_subnets() -> None:
    qat = started(target_plan("tiny-a"))
    rng = random.Random(99)
    for _ in range(100):
        for node in qat.graph(qat.supernet.sample(rng)):
            assert node.edge is None or node.edge in qat.edges
            assert node.weights is None or node.weights in qat.scales


def test_quantised_stays_near_fp32_and_trains() -> None:
    torch.manual_seed(0)
    qat = started(target_plan("tiny-a")).train()
    subnet = qat.supernet.largest(32)
    x = images(8, subnet)
    full, quantised = qat.supernet(x, subnet, dropout=False), qat(x, subnet, dropout=False)
    assert quantised.shape == full.shape
    assert (full - quantised).norm() < 0.15 * full.norm()
    labels = torch.randint(0, 10, (8,))
    weights, quantisers = list(qat.weight_parameters()), list(qat.quantiser_parameters())
    assert len(weights) + len(quantisers) == len(list(qat.parameters()))
    groups = [{"params": weights, "lr": 0.05}, {"params": quantisers, "lr": 1e-4}]
    optimiser = torch.optim.SGD(groups)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(qat(x, subnet), labels)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    learned = [p.grad for p in quantisers]
    assert sum(g is not None and bool(g.abs() > 0) for g in learned) > len(learned) / 4


def test_starting_leaves_the_supernet_as_it_was() -> None:
    supernet = load_supernet(target_plan("tiny-a"))
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    qat = QatSupernet(supernet)
    chosen = qat.covering(random.Random(0))
    qat.start(chosen, [images(2, s) for s in chosen])
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())
    assert supernet.training


@pytest.mark.slow
@settings(max_examples=15)
@given(members(elastic=2, most=2), RANDOMS)
def test_extraction_is_bit_equal(space: Space, rng: random.Random) -> None:
    qat = started(supernet_plan(space, VNNI))
    subnet = qat.covering(rng, draws=3)[-1]
    x = images(2, subnet)
    with torch.no_grad():
        assert_equal(qat.extract(subnet)(x), qat(x, subnet))


def test_recalibration_changes_the_extracted_subnet_only() -> None:
    qat = started(target_plan("tiny-a"))
    subnet = qat.supernet.largest()
    net, x = qat.extract(subnet), images(8, subnet)
    before = {k: v.clone() for k, v in qat.state_dict().items()}
    recalibrate(net, [x])
    with torch.no_grad():
        calibrated, trained = net(x), qat.train()(x, subnet, dropout=False)
    assert (calibrated - trained).norm() < 0.1 * trained.norm()
    assert all(torch.equal(before[k], v) for k, v in qat.state_dict().items() if "scale" in k)
    assert not net.training


def test_what_has_no_target_or_no_quantiser_is_refused() -> None:
    with pytest.raises(PlanError, match=r"tiny-a names no target, .* --target"):
        QatSupernet(load_supernet(plan_of("tiny-a")))
    bare = QatSupernet(load_supernet(target_plan("tiny-a")))
    subnet = bare.supernet.largest(32)
    with pytest.raises(SubnetError, match="no quantiser for input"):
        bare(images(1, subnet), subnet)
    with pytest.raises(SubnetError, match=r"images of \(3, 24, 24\), largest takes"):
        bare(torch.zeros(1, 3, 24, 24), subnet)
    fewer = bare.rules.model_copy(update={"acts": (("relu", "saturate"),)})
    narrow = replace(target_plan("tiny-a"), rules=fewer)
    with pytest.raises(PlanError, match=r"vnni \(onnxruntime\) has no 8-bit form of .* swish"):
        QatSupernet(load_supernet(narrow)).covering(random.Random(0))


def test_a_plan_names_rewrites_and_scales_that_there_are() -> None:
    data = plan_json(library_space("tiny-a"), VNNI)
    data["rules"]["acts"][0][1] = "magic"
    with pytest.raises(PlanError, match=r"rules.acts.0.1: Input should be 'saturate'"):
        read_plan(data)
    data = plan_json(library_space("tiny-a"), VNNI)
    data["rules"]["gate"]["write"] = 0.0
    with pytest.raises(PlanError, match=r"rules.gate.write is 0.0, the page says 0.0235"):
        read_plan(data)
    data = plan_json(library_space("tiny-a"), VNNI)
    del data["rules"]["acts"][0]
    with pytest.raises(PlanError, match="its rules lack relu, which its page has"):
        read_plan(data)
