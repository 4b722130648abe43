"""The runtime's programs against the compiler's own lowering: same layers, sizes and names."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings

from spacedsl.compiler.graph import lower
from spacedsl.compiler.supernet import bkd_plans, subnet_data, supernet_plan
from spacedsl.compiler.supernet_schema import json_text
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import layers, site_of, subnet_sites
from spacedsl_runtime.plan import Plan, read_plan
from spacedsl_runtime.program import Layer, Program, Residual, flat, program_of
from spacedsl_runtime.subnet import check_subnet, read_subnet, sample
from spacedsl_runtime.subnet import largest as runtime_largest
from spacedsl_runtime.subnet import smallest as runtime_smallest
from tests.laws.strategies import RANDOMS, members
from tests.runtime.support import HYPERSPACES, ONE_SPACES, bkd_json, plan_json, plan_of
from tests.support import item_of, library_space

SKIPPED = ("name", "at", "part", "inner")
WEIGHTED = ("conv", "dwconv", "linear")


def facts(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in flat(program):
        if isinstance(step, Residual):
            found.append({"kind": "add", "act": step.act})
        else:
            found.append({k: v for k, v in asdict(step).items() if k not in SKIPPED})
    return found


def expected(subnet: Subnet) -> list[dict[str, Any]]:
    sites = [site for stage in subnet_sites(subnet) for site in stage]
    bound = [asdict(layer) for site in sites for layer in layers(site.bind())]
    return [{"kind": "add", "act": b["act"]} if b["kind"] == "add" else b for b in bound]


def check(space: Space, plan: Plan, subnet: Subnet) -> None:
    found = read_subnet(json.loads(json_text(subnet_data(subnet))), plan)
    program = program_of(plan, found, plan.channels, plan.classes or 1)
    assert facts(program) == expected(subnet)
    named = {n.name for n in lower(subnet).nodes if n.op in ("conv", "dwconv", "linear", "add")}
    mine = {s.name for s in flat(program) if isinstance(s, Residual) or s.kind in WEIGHTED}
    ses = {s.name for s in flat(program) if isinstance(s, Layer) and s.kind == "se"}
    assert named == mine | {f"{s}.{part}" for s in ses for part in ("squeeze", "excite")}


@settings(max_examples=50)
@given(members(), RANDOMS)
def test_a_program_is_what_the_compiler_binds(space: Space, rng: random.Random) -> None:
    plan = read_plan(plan_json(space), "supernet")
    for subnet in (random_subnet(space, rng), smallest(space), largest(space)):
        check(space, plan, subnet)
    for _ in range(3):
        drawn = sample(plan, rng)
        check_subnet(plan, drawn)
        program_of(plan, drawn, plan.channels, plan.classes or 1)


@pytest.mark.parametrize("name", ONE_SPACES)
def test_programs_of_every_space_of_the_library(name: str) -> None:
    space, plan, rng = library_space(name), plan_of(name), random.Random(1)
    for subnet in (smallest(space), largest(space), *(random_subnet(space, rng) for _ in range(5))):
        check(space, plan, subnet)


@pytest.mark.parametrize("name", HYPERSPACES)
def test_programs_of_every_bkd_stage(name: str) -> None:
    """A sub-stage's layers are those that the sites of its blocks bind to."""
    space, rng = library_space(name), random.Random(1)
    places = [(i, c) for i in space.elastic for c in range(len(space.stages[i].choices))]
    for (position, choice), data in zip(places, bkd_json(name), strict=True):
        plan = read_plan(data, "bkd")
        stage = space.stages[position]
        for drawn in (runtime_smallest(plan), runtime_largest(plan), sample(plan, rng)):
            check_subnet(plan, drawn)
            program = program_of(plan, drawn, plan.channels, 1)
            assert drawn.cin is not None
            cin, size = drawn.cin, -(-drawn.resolution // plan.input_stride)
            bound: list[dict[str, Any]] = []
            for i, block in enumerate(_ir_blocks(drawn.stages[0])):
                stride = stage.stride if i == 0 else 1
                site = site_of(stage.choices[choice], block, cin, size, stride)
                bound += [asdict(layer) for layer in layers(site.bind())]
                cin, size = block.width, -(-size // stride)
            adds = [{"kind": "add", "act": b["act"]} if b["kind"] == "add" else b for b in bound]
            assert facts(program) == adds


def _ir_blocks(blocks: Any) -> list[Any]:
    from spacedsl.ir.subnet import Setting, SubnetBlock

    return [
        SubnetBlock(width=b.width, settings=tuple(Setting(name=n, value=v) for n, v in b.settings))
        for b in blocks
    ]


def test_bkd_plans_know_their_stage() -> None:
    space = library_space("tiny")
    for plan in bkd_plans(space):
        assert plan.stages[0].elastic


def test_compiler_and_runtime_draw_alike() -> None:
    """Same generator, same subnet: sampling is the same procedure on both sides."""
    space, plan = library_space("vnni"), plan_of("vnni")
    theirs, ours = random_subnet(space, random.Random(7)), sample(plan, random.Random(7))
    assert theirs.resolution == ours.resolution
    assert sum(len(s.blocks) for s in theirs.stages) > 0
    assert supernet_plan(space).hash == plan.hash


@pytest.mark.parametrize("shared", ["", "shared first"])
def test_compiler_and_runtime_draw_no_setting_that_means_nothing(shared: str) -> None:
    space = item_of(ABSENT.replace("SHARED", shared), "s")
    assert isinstance(space, Space)
    plan = read_plan(json.loads(json_text(supernet_plan(space))), "supernet")
    rng, tries = random.Random(0), 2000
    theirs = Counter(
        tuple(tuple((s.name, s.value) for s in block.settings) for block in drawn.stages[1].blocks)
        for drawn in (random_subnet(space, rng) for _ in range(tries))
    )
    ours = Counter(
        tuple(block.settings for block in sample(plan, rng).stages[1]) for _ in range(tries)
    )
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
