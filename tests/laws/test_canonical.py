"""Settings that mean nothing count nowhere: hash, count, sampling, covers and search agree on what
one network is. Checked against every subnet of small random spaces, told apart by what is bound."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.diff import diff_subnets
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.settings import canonical
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.lang.write import write
from spacedsl.passes.network import subnet_identity
from spacedsl.search.draws import Draws
from spacedsl.search.stage_facts import stage_facts
from spacedsl.search.subnets import mutate, random_member
from tests.support import page_of

FEW = 600
"""Subnets of a space that are looked at one by one."""


@st.composite
def pages(draw: st.DrawFn, lists: int = 1) -> list[str]:
    """Pages of one block, whose ops hang on switches within switches; they differ in the values of
    its parameters. Every op has a place of its own, so that other ops are other networks."""
    names = {"switch": 0, "kernel": 0, "op": 0}

    def fresh(kind: str) -> str:
        names[kind] += 1
        return f"{kind}{names[kind]}"

    def ops(depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(draw(st.integers(1, 2))):
            if depth and draw(st.booleans()):
                lines += [f"optional {fresh('switch')} {{", *ops(depth - 1), "}"]
                if draw(st.booleans()):
                    lines += ["else {", *ops(depth - 1), "}"]
            else:
                known = [f"kernel{i + 1}" for i in range(names["kernel"])]
                again = known and draw(st.integers(0, 3)) == 0
                kernel = draw(st.sampled_from(known)) if again else fresh("kernel")
                fresh("op")
                lines += [f"dwconv {kernel}", f"conv 1x1 -> {names['op']}"]
        return lines

    body = ops(2)
    switches = [f"switch{i + 1}" for i in range(names["switch"])][:8]
    kernels = [f"kernel{i + 1}" for i in range(names["kernel"])]
    params = [*switches, *kernels]
    shared = draw(st.lists(st.sampled_from(params), unique=True, max_size=2))
    depth = draw(st.sampled_from(["1", "1..2", "2"]))
    found = []
    for _ in range(lists):
        said = [f"{s} {draw(st.sampled_from(['0', '1', '0, 1']))}" for s in switches]
        said += [f"{k} {draw(st.sampled_from(['3', '5', '3, 5']))}" for k in kernels]
        stage = f"b {{ {' '.join(said)} }} width 8 depth {depth}"
        stage += f" shared {', '.join(shared)}" if shared else ""
        found.append(
            f"language 1\nblock b({', '.join(params)}) {{\n"
            + "\n".join([*body, "conv 1x1", "}"])
            + "\nspace s { input 3 x 32\nstem { conv 3x3 relu strided width 8 stride 2 }\n"
            f"elastic a {{ {stage} }}\nhead {{ pool linear -> 10 }} }}\n"
        )
    return found


def space_of(page: str) -> Space | None:
    """The space of a page; None for a block of too many parameters."""
    if page.split("(")[1].split(")", maxsplit=1)[0].count(",") >= 8:
        return None
    found = page_of(page).get("s")
    assert isinstance(found, Space)
    return found


def everything(space: Space) -> list[Subnet] | None:
    """Every way to say a subnet, whatever it means; None where there are too many."""
    stage = space.stages[1]
    numeric = stage.choices[0].chosen
    one = list(product(*(arg.values for arg in numeric)))
    if sum(len(one) ** depth for depth in stage.depths) > FEW:
        return None
    base, found = smallest(space), []
    places = [i for i, arg in enumerate(numeric) if arg.name in stage.shared]
    for depth in stage.depths:
        for rows in product(one, repeat=depth):
            if any(len({row[i] for row in rows}) > 1 for i in places):
                continue
            blocks = tuple(
                SubnetBlock(
                    width=8,
                    settings=tuple(
                        Setting(name=a.name, value=v) for a, v in zip(numeric, row, strict=True)
                    ),
                )
                for row in rows
            )
            stages = (base.stages[0], SubnetStage(blocks=blocks), base.stages[2])
            found.append(base.model_copy(update={"stages": stages}))
    return found


@pytest.mark.slow
@given(pages())
@settings(max_examples=60)
def test_one_network_is_one_subnet(found: list[str]) -> None:
    space = space_of(found[0])
    said = everything(space) if space else None
    if space is None or said is None:
        return
    networks: dict[str, set[Subnet]] = {}
    for subnet in said:
        form = canonical(subnet)
        networks.setdefault(subnet_identity(subnet), set()).add(form)
        assert canonical(form) == form
        assert subnet_identity(form) == subnet_identity(subnet)
        assert diff_subnets(subnet, form) == ()
        assert subnet_mismatch(space, subnet) is None
        assert page_of(found[0] + write(subnet).removeprefix("language 1")).get(subnet.name) == (
            form
        )
    assert all(len(forms) == 1 for forms in networks.values())
    assert count_subnets(space) == len(networks)
    forms = {form for (form,) in networks.values()}
    rng = random.Random(0)
    plain = {f.model_copy(update={"name": ""}) for f in forms}
    for drawn in (smallest(space), *(random_subnet(space, rng) for _ in range(50))):
        assert drawn.model_copy(update={"name": ""}) in plain
    assert largest(space) == canonical(largest(space))
    member = random_member(space, rng)
    for _ in range(20):
        assert member.model_copy(update={"name": ""}) in plain
        member = mutate(member, 0.5, 0.5, rng)


@given(pages(lists=2))
@settings(max_examples=60)
def test_covers_is_inclusion_of_networks(found: list[str]) -> None:
    one, other = map(space_of, found)
    if one is None or other is None:
        return
    mine, theirs = everything(one), everything(other)
    if mine is None or theirs is None:
        return
    networks, others = ({subnet_identity(s) for s in side} for side in (mine, theirs))
    difference = mismatch(one, other)
    assert (difference is None) == (others <= networks)
    if difference is not None:
        assert subnet_identity(difference.witness) in others - networks
    for subnet in theirs:
        assert (subnet_mismatch(one, subnet) is None) == (subnet_identity(subnet) in networks)
    if space_identity(one) == space_identity(other):
        assert networks == others


UIB = """language 1
block uib(first, start, middle, mid) {
  optional first { dwconv start }
  conv 1x1 -> 16 relu
  optional middle { dwconv mid }
  conv 1x1
}
space s { input 3 x 32
  stem { conv 3x3 relu strided width 8 stride 2 }
  elastic a { uib { first 0, 1 start 3, 5, 7 middle 0, 1 mid 3, 5 } width 8 depth DEPTH SHARED }
  head { pool linear -> 10 } }
"""


@pytest.mark.parametrize(
    ("depth", "shared", "count"),
    [
        ("1", "", 4 * 3),
        ("1..3", "", 12 + 12**2 + 12**3),
        ("2", "shared start", (1 + 3 + 3 + 3) * 3**2),
    ],
)
def test_counts(depth: str, shared: str, count: int) -> None:
    space = space_of(UIB.replace("DEPTH", depth).replace("SHARED", shared))
    assert space is not None
    assert count_subnets(space) == count


def test_sampling_favours_no_network() -> None:
    space = space_of(UIB.replace("DEPTH", "1").replace("SHARED", ""))
    assert space is not None
    rng, tries = random.Random(1), 6000
    drawn: dict[Subnet, int] = {}
    for _ in range(tries):
        subnet = random_subnet(space, rng)
        drawn[subnet] = drawn.get(subnet, 0) + 1
    assert len(drawn) == 12
    assert max(drawn.values()) < 1.25 * tries / 12
    facts = stage_facts(space.stages[1])
    index = facts.combo_index(1, 0, Draws(0, tries))
    counts = np.bincount(index, minlength=len(facts.combos))
    assert len(counts) == len(facts.combos) == 12
    assert counts.max() < 1.25 * tries / 12
