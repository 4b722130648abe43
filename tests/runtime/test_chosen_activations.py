"""Activations that a block chooses: one supernet for all of them, trained as deployed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch

from spacedsl.compiler.subnets import load_subnet, subnet_json
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl_runtime.distill.stage import load_bkd_stage
from spacedsl_runtime.elastic.supernet import load_supernet
from tests.compiler.onnx_support import by_onnx_runtime
from tests.runtime.parity import (
    VNNI,
    as_if_trained,
    by_litert,
    deployed,
    differences,
    extracted,
)
from tests.runtime.support import assert_equal, images, started
from tests.support import item_of

PAGE = """language 1
use "std/blocks.space"

space s {
  input 3 x 16
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 {
    mbv3 { kernel 3  expand 2  act ACTS }
    width 8, 16  depth 1..3  stride 2
  }
  head { pool  linear -> 10 }
}
"""


def space_of(words: str) -> Space:
    found = item_of(PAGE.replace("ACTS", words), "s")
    assert isinstance(found, Space)
    return found


SPACE = space_of(", ".join(ACTIVATIONS))


def acts(subnet: Subnet) -> list[str]:
    return [str(block.setting("act")) for block in subnet.stages[1].blocks]


def test_each_of_them_runs_on_the_weights_of_all(tmp_path: Path) -> None:
    net, rng, seen = load_supernet(SPACE).eval(), random.Random(0), set[str]()
    for _ in range(30):
        subnet = net.sample(rng)
        seen.update(acts(subnet))
        x = images(2, subnet)
        assert_equal(net.extract(subnet)(x), net(x, subnet))
    assert seen == set(ACTIVATIONS)
    one, other = (
        load_subnet(
            json.loads(json.dumps(subnet_json(subnet)).replace(acts(subnet)[0], word)), net.plan
        )
        for subnet in [net.plan.smallest()]
        for word in ("gelu", "relu6")
    )
    assert (acts(one), acts(other)) == (["gelu"], ["relu6"])
    assert not torch.equal(net(x, one), net(x, other))


def test_trained_in_8_bits_as_both_runtimes_compute(tmp_path: Path) -> None:
    space = space_of("relu, hswish, swish, hsigmoid, htanh")
    net, rng = load_supernet(supernet_plan(space, VNNI)), random.Random(3)
    subnets = [net.sample(rng) for _ in range(3)]
    assert len({act for subnet in subnets for act in acts(subnet)}) > 3
    qat = as_if_trained(started(supernet_plan(space, VNNI), subnets), 0)
    for subnet in subnets:
        pair = deployed(extracted(qat, subnet), subnet, tmp_path)
        for run in (by_onnx_runtime, by_litert):
            for name, off in differences(pair, images(2, subnet), run):
                assert off.max() <= 1, (name, acts(subnet))


def test_a_stage_is_distilled_with_all_of_them() -> None:
    (plan,) = bkd_plans(SPACE)
    stage, rng = load_bkd_stage(plan, 4, 6).eval(), random.Random(0)
    for _ in range(5):
        subnet = plan.sample(rng)
        x = torch.randn(2, 4, 8, 8)
        assert_equal(stage.extract(subnet)(x), stage(x, subnet))
