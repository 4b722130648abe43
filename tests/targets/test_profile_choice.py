"""Which networks are profiled: what fills gaps first, and small ones in every batch."""

from __future__ import annotations

import random

import pytest

from spacedsl import api
from spacedsl.ir.sampling import random_subnet, small_subnet
from spacedsl.passes.cost import subnet_cost
from spacedsl.search.protocols import Coverage
from spacedsl.targets.attribution import kernel_owners
from spacedsl.targets.covered import Ranges, Wanted, uncovered
from spacedsl.targets.profile_choice import SMALL_SHARE, Chooser

COUNT = 10


@pytest.mark.parametrize("name", ["hyper", "attentivenas", "tiny"])
def test_small_networks_are_members_and_small(name: str) -> None:
    space, rng = api.load_space(name), random.Random(0)
    small = [small_subnet(space, rng) for _ in range(20)]
    usual = [random_subnet(space, rng) for _ in range(20)]
    for subnet in small:
        assert subnet.resolution == space.resolutions[0]
        for position, declared in enumerate(space.stages):
            stage, choice = subnet.stages[position], subnet.choice(position)
            assert len(stage.blocks) == declared.depths[0]
            for block in stage.blocks:
                assert block.width in (declared.windows[0] if declared.widths else (0,))
                for arg in choice.chosen:
                    assert block.setting(arg.name) in arg.values
    costs = [sorted(subnet_cost(s).flops for s in nets)[10] for nets in (small, usual)]
    assert costs[0] < costs[1]


def test_every_batch_has_small_ones_and_fills_gaps() -> None:
    space = api.load_space("hyper")
    chooser = Chooser([space], [])
    nothing = chooser.missing
    chosen = [subnet for subnet, _ in chooser.choose(COUNT, [])]
    small = [s for s in chosen if s.resolution == space.resolutions[0]]
    assert len(small) >= COUNT * SMALL_SHARE
    assert chosen[-2:] == small[-2:]
    assert not chooser.covered
    chooser.saw([kernel for subnet in chosen for kernel in kernel_owners(subnet)[0]])
    assert chooser.missing < nothing / 100


def test_covered_means_that_nothing_reachable_is_unknown() -> None:
    space, rng = api.load_space("tiny"), random.Random(3)
    wanted = Wanted(space)
    assert not wanted.covered(wanted.gaps(Ranges([])))
    seen = [k for _ in range(60) for k in kernel_owners(random_subnet(space, rng))[0]]
    ranges = Ranges(seen)
    gaps = wanted.gaps(ranges)
    assert wanted.covered(gaps)
    assert not uncovered(gaps)
    members = [k for _ in range(20) for k in kernel_owners(random_subnet(space, rng))[0]]
    assert (ranges.coverage(members) < Coverage.UNCOVERED).all()
    lone = next(iter({k for k in seen if k.kind == "fc"}))
    without = [k for k in seen if k.kind != lone.kind]
    assert not wanted.covered(wanted.gaps(Ranges(without)))
