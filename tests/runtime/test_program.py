"""The programs of supernets and BKD stages: what binding says of every block, in its place."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given, settings

from spacedsl.compiler.graph import lower
from spacedsl.compiler.subnets import check_member, describe, subnet_json
from spacedsl.compiler.supernet import SupernetPlan, bkd_plans, supernet_plan
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer as BoundLayer
from spacedsl.passes.bind import output_size, site_of, subnet_sites
from spacedsl.passes.bound import Bound, last_layer, layers
from spacedsl.passes.program import Layer, Program, flat
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.plan import read_subnet
from tests.laws.strategies import RANDOMS, members
from tests.runtime.support import HYPERSPACES, ONE_SPACES, bkd_plans_of, plan_of
from tests.support import item_of, library_space

WEIGHTED = ("conv", "dwconv", "linear")
SIZES = [field.name for field in fields(BoundLayer)]


def facts(program: Program) -> list[list[Any]]:
    steps = map(last_layer, flat(program))
    return [[getattr(step, name) for name in SIZES] for step in steps]


def said(bound: tuple[Bound, ...]) -> list[list[Any]]:
    return [[getattr(layer, name) for name in SIZES] for layer in layers(bound)]


def check(plan: SupernetPlan, subnet: Subnet) -> None:
    assert read_subnet(json.loads(json.dumps(subnet_json(subnet))), plan).stages == subnet.stages
    program = plan.program(subnet)
    sites = [site for stage in subnet_sites(subnet) for site in stage]
    assert facts(program) == [layer for site in sites for layer in said(site.bind())]
    named = {n.name for n in lower(subnet).nodes if n.op in ("conv", "dwconv", "linear", "add")}
    steps = [last_layer(step) for step in flat(program)]
    mine = {s.name for s in steps if s.kind == "add" or s.kind in WEIGHTED}
    ses = {s.name for s in steps if s.kind == "se"}
    assert named == mine | {f"{s}.{part}" for s in ses for part in ("squeeze", "excite")}


@settings(max_examples=50)
@given(members(), RANDOMS)
def test_a_program_is_what_the_compiler_binds(space: Space, rng: random.Random) -> None:
    plan = supernet_plan(space)
    for subnet in (random_subnet(space, rng), smallest(space), largest(space)):
        check(plan, subnet)
    for _ in range(3):
        drawn = plan.sample(rng)
        check_member(plan, drawn)
        plan.program(drawn)


@pytest.mark.parametrize("name", ONE_SPACES)
def test_programs_of_every_space_of_the_library(name: str) -> None:
    space, plan, rng = library_space(name), plan_of(name), random.Random(1)
    for subnet in (smallest(space), largest(space), *(random_subnet(space, rng) for _ in range(5))):
        check(plan, subnet)


@pytest.mark.parametrize("name", HYPERSPACES)
def test_programs_of_every_bkd_stage(name: str) -> None:
    """A sub-stage's layers are those that the sites of its blocks bind to."""
    space, rng = library_space(name), random.Random(1)
    places = [(i, c) for i in space.elastic for c in range(len(space.stages[i].choices))]
    for (position, choice), plan in zip(places, bkd_plans_of(name), strict=True):
        stage = space.stages[position]
        for drawn in (plan.smallest(), plan.largest(), plan.sample(rng)):
            check_member(plan, drawn)
            cin, size = drawn.of.channels, plan.input_size(drawn.resolution)
            bound: list[list[Any]] = []
            for i, block in enumerate(drawn.stages[0].blocks):
                site = site_of(stage, stage.choices[choice], block, cin, size, i == 0)
                bound += said(site.bind())
                cin, size = block.width, output_size(site)
            assert facts(plan.program(drawn)) == bound


def test_bkd_plans_know_their_stage() -> None:
    space = library_space("tiny")
    for plan in bkd_plans(space):
        assert plan.stages[0].elastic


def test_a_slot_stays_whatever_is_left_out() -> None:
    """The address of an op counts what the body declares, its name what runs."""
    space = item_of(ABSENT.replace("SHARED", "").replace("1x1 relu", "1x1 relu\n dwconv 3x3"), "s")
    assert isinstance(space, Space)
    plan = supernet_plan(space)
    at = {len(p): p for p in (plan.program(plan.smallest(32)), plan.program(plan.largest(32)))}
    for program in at.values():
        last = [s for s in map(last_layer, program) if s.at[:2] == (1, 0)][-1]
        assert last.at == (1, 0, "dwconv1")
        assert last.op == 3
    assert {last_layer(p[2]).name for p in at.values()} == {"a.0.dwconv0", "a.0.conv0"}


def test_either_of_two_bodies_runs() -> None:
    """Ops behind `else` have weights of their own, and their subnets are what is extracted."""
    page = ABSENT.replace("dwconv start }", "dwconv start } else { avgpool 3x3  conv 3x3 }")
    space = item_of(page.replace("SHARED", ""), "s")
    assert isinstance(space, Space)
    supernet, images = load_supernet(space).eval(), torch.randn(2, 3, 32, 32)
    seen = set[str]()
    for seed in range(6):
        subnet = random_subnet(space, random.Random(seed))
        seen |= {step.kind for step in flat(supernet.program(subnet)) if isinstance(step, Layer)}
        assert torch.equal(supernet(images, subnet), supernet.extract(subnet)(images))
    assert {"dwconv", "avgpool"} <= seen


@pytest.mark.parametrize("shared", ["", "shared first"])
def test_no_setting_that_means_nothing_is_drawn(shared: str) -> None:
    space = item_of(ABSENT.replace("SHARED", shared), "s")
    assert isinstance(space, Space)
    plan = supernet_plan(space)
    rng, tries = random.Random(0), 2000
    theirs = Counter(describe(random_subnet(space, rng)) for _ in range(tries))
    ours = Counter(describe(plan.sample(rng)) for _ in range(tries))
    assert len(ours) == count_subnets(space)
    assert ours.keys() == theirs.keys()
    for drawn, count in ours.items():
        assert abs(count - theirs[drawn]) < 0.35 * max(count, theirs[drawn])


ABSENT = """language 1
block b(first, start) { optional first { dwconv start }  conv 1x1 relu }
space s { input 3 x 32
  stem { conv 3x3 relu strided width 8 stride 2 }
  elastic a { b { first 0, 1 start 3, 5 } width 8 depth 1..2 SHARED }
  head { pool linear -> 10 } }
"""
