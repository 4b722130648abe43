"""What a pyramid is made of, costs and means."""

from __future__ import annotations

import random

import pytest

from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.diff import diff_spaces, diff_subnets
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range, least_greatest
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.passes.taps import tap_shapes
from spacedsl.search.candidate import Genome
from spacedsl.targets.latency import model_latency
from spacedsl.targets.subnet_latency import SubnetLatency
from tests.compiler.taps_support import PEAKS, eye, peak, peaks
from tests.support import item_of

SMALL = """language 1

hyperspace small {{
  input 3 x 16, 32
  taps stride 2, 4 pyramid {width}
  {limit}
  stem {{ conv 3x3 relu strided  width 8  stride 2 }}
  elastic stage1 {{ conv 3x3 relu strided  width 4, 16  depth 1..2  stride 2 }}
}}
"""


def small(width: int, limit: str = "") -> Space:
    found = item_of(SMALL.format(width=width, limit=limit), "small")
    assert isinstance(found, Space)
    return found


def every(space: Space) -> list[Subnet]:
    """All of its dozen networks, since so many are drawn."""
    rng = random.Random(0)
    return [random_subnet(space, rng) for _ in range(200)]


def test_its_convolutions_are_what_it_costs() -> None:
    """Above the same network without it, both at 48 px."""
    plain, found = eye().model_copy(update={"resolution": 48}), peak()
    shapes = {1: (24, 12), 3: (40, 6), 4: (48, 3)}
    products = [20 * width + 20 * 20 * 9 for width, _ in shapes.values()]
    cost, base = subnet_cost(found), subnet_cost(plain)
    assert cost.weights - base.weights == sum(products) + 6 * 2 * 20
    sides = [side for _, side in shapes.values()]
    assert cost.flops - base.flops == sum(
        p * side**2 for p, side in zip(products, sides, strict=True)
    )
    assert list(tap_shapes(found).values()) == [(20, side, side) for side in sides]


@pytest.mark.parametrize(("width", "bytes"), [(4, 5_120), (64, 36_864)])
def test_its_levels_wait(width: int, bytes: int) -> None:
    """At 32 px: the stem with its image; or the coarser sum, the finer level and it upsampled."""
    biggest = max(every(small(width)), key=subnet_memory)
    assert subnet_memory(biggest) == bytes
    assert bytes == max(32 * 32 * 3 + 16 * 16 * 8, width * (8 * 8 + 2 * 16 * 16))


@pytest.mark.parametrize("width", [4, 12, 64])
def test_ranges_are_those_of_all_networks(width: int) -> None:
    space = small(width)
    found = cost_range(space)
    memory = [subnet_memory(subnet) for subnet in every(space)]
    flops = [subnet_cost(subnet).flops for subnet in every(space)]
    assert (found.memory.least, found.memory.greatest) == (min(memory), max(memory))
    assert (found.flops.least, found.flops.greatest) == (min(flops), max(flops))


def test_a_limit_counts_it() -> None:
    assert least_greatest(small(64))[2] == 36_864
    for limit, kept in (("37K", True), ("36K", False)):
        genome = Genome(small(64, f"limit memory {limit}"))
        assert genome.keeps(genome.at(0)) == kept


def test_it_is_part_of_what_a_page_means() -> None:
    space, other = peaks(), item_of(PEAKS.replace("pyramid 20", "pyramid 24"), "peaks")
    assert isinstance(other, Space)
    assert space_identity(space) != space_identity(other)
    subnet = random_subnet(space, random.Random(0))
    assert subnet_identity(subnet) != subnet_identity(subnet.model_copy(update={"of": other}))
    found = mismatch(space, other)
    assert found is not None
    assert "with a pyramid of 24 instead of maps of stride 4, 8, 16, with" in found.reason
    assert subnet_mismatch(other, subnet) is not None
    assert mismatch(space, space) is None
    (change,) = diff_spaces(space, other)
    assert (change.stage, change.key, change.before, change.after) == ("", "pyramid", (20,), (24,))
    plain = eye().of
    keys = {change.key for change in diff_spaces(plain, space)}
    assert keys == {"input", "pyramid"}
    assert [change.key for change in diff_subnets(eye(), peak())] == ["input", "pyramid"]


def test_pages_say_it_in_one_word() -> None:
    """Neither a space's page nor a model's says the stages that it is made of."""
    text = write(peaks())
    assert "taps stride 4, 8, 16 pyramid 20" in text
    assert item_of(text, "peaks") == peaks()
    assert "pyramid" not in write(peak())
    narrowed = item_of(PEAKS + "\nspace few of peaks { input 32 }\n", "few")
    assert isinstance(narrowed, Space)
    assert (narrowed.pyramid, narrowed.stages) == (20, peaks().stages)
    assert "pyramid" not in write(narrowed)
    assert peak().blocks == eye().blocks


def test_latencies_have_it() -> None:
    from spacedsl.api import load_target
    from spacedsl.targets.device import open_device

    latency = open_device(load_target("pixel4")).latency
    parts = model_latency(peak(), latency)
    names = [part.stage for part in parts if part.stage.startswith("pyramid")]
    assert names == ["pyramid.4", "pyramid.8", "pyramid.16", "pyramid.out"]
    assert all(part.ms > 0 for part in parts)
    assert SubnetLatency(peaks(), latency)(peak()) == pytest.approx(sum(p.ms for p in parts))
