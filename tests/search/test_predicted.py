"""Search for subnets by prediction: the best is found among a part of them, whatever is made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from math import exp

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet, SubnetStage
from spacedsl.operators.size import as_number
from spacedsl.search.predicted import Predicting, opened, search_by_prediction
from spacedsl.search.protocols import LatencyModel, QualityModel
from spacedsl.search.subnets import Best
from spacedsl.tables.fit_accuracy import fewest_rows
from spacedsl.tables.predictor import fit_values
from spacedsl.targets.device import open_device
from spacedsl.targets.subnet_latency import SubnetLatency
from tests.compiler.every_network import members
from tests.support import item_of
from tests.targets.made_up_target import write_target

PAGE = """language 1
use "std/blocks.space"
space small {
  input 1 x 8, 12
  stem { conv 3x3 relu strided  width 8, 16  stride 2 }
  elastic stage1 { mbv2 { kernel 3, 5  expand 2, 3 }  width 8, 16  depth 1..2  stride 2 }
  head { conv 1x1 -> 32 relu  pool  linear -> 10 }
}
"""

PLAN = Predicting(random=40, together=4, values=100)


@pytest.fixture(scope="module")
def space() -> Space:
    found = item_of(PAGE, "small")
    assert isinstance(found, Space)
    return found


@pytest.fixture(scope="module")
def latency(space: Space, tmp_path_factory: pytest.TempPathFactory) -> LatencyModel:
    from spacedsl import api

    page = write_target(tmp_path_factory.mktemp("target"), space, networks=100)
    return open_device(api.load_target(str(page))).latency


def everyone(space: Space) -> list[Subnet]:
    """All subnets; the stem has both widths, as the elastic stage has."""
    stages = [members(stage) for stage in opened(space).stages]
    return [
        Subnet(
            name="subnet",
            of=space,
            resolution=r,
            stages=tuple(SubnetStage(blocks=blocks) for blocks in chosen),
        )
        for r in space.resolutions
        for chosen in product(*stages)
    ]


def worth(subnet: Subnet) -> float:
    """A share: what settings add, up to a link, and a little of what two of them do together."""
    total = 3.0 - 0.3 * (subnet.resolution == 12)
    for stage in subnet.stages[:2]:
        total -= 0.15 * len(stage.blocks)
        for position, block in enumerate(stage.blocks):
            total -= 0.01 * block.width * (2 - position)
            for setting in block.settings:
                total -= 0.03 * as_number(setting.value)
            total -= 0.001 * block.width * len(stage.blocks)
    return (95 - exp(total)) / 100


class Asked:
    """Values, and which were asked for."""

    def __init__(self) -> None:
        self.subnets: list[Subnet] = []

    def __call__(self, subnets: Sequence[Subnet]) -> list[float]:
        self.subnets += subnets
        return [worth(subnet) for subnet in subnets]


def searched(
    space: Space,
    latency: LatencyModel,
    limits: Sequence[float],
    value: Asked,
    plan: Predicting = PLAN,
) -> tuple[Best, ...]:
    ms = SubnetLatency(space, latency)
    every = [ms(subnet) for subnet in everyone(space)]
    span, fit = (min(every), max(every)), partial(fit_values, images=1000)
    return search_by_prediction(space, limits, span, latency, ms, value, fit, plan)


@pytest.mark.parametrize("seed", range(3))
def test_the_best_of_all_are_found_among_a_part(
    seed: int, space: Space, latency: LatencyModel
) -> None:
    """Of stem and elastic stage; each is valued once."""
    ms, every, value = SubnetLatency(space, latency), everyone(space), Asked()
    times = sorted(ms(subnet) for subnet in every)
    limits = [times[len(times) * share // 10] for share in (1, 4, 7)]
    plan = Predicting(PLAN.random, PLAN.together, PLAN.values, seed)
    found = searched(space, latency, limits, value, plan)
    assert [best.limit_ms for best in found] == limits
    for best in found:
        most = max(worth(subnet) for subnet in every if ms(subnet) <= best.limit_ms)
        assert best.value == worth(best.subnet) == pytest.approx(most, abs=1e-9)
        assert best.ms == ms(best.subnet) <= best.limit_ms
        assert best.subnet.of == space
    assert len(set(value.subnets)) == len(value.subnets) <= plan.values < len(every)


def test_a_prediction_that_still_changes_its_mind_is_heard(
    space: Space, latency: LatencyModel
) -> None:
    """For five rounds it praises what is worth nothing, something else each time (as predictions
    do that know few fast subnets), so that no round finds anything better."""
    ms, every, value = SubnetLatency(space, latency), everyone(space), Asked()
    praised = ((3, 2), (3, 3), (5, 2), (3, 2), (5, 2))
    rounds = iter(enumerate(praised))

    def wrong(subnet: Subnet, number: int, wanted: tuple[int, int]) -> float:
        blocks = [b for stage in subnet.stages[:2] for b in stage.blocks]
        small = sum(block.width == 8 for block in blocks) / len(blocks)
        as_wanted = sum(tuple(s.value for s in b.settings) == wanted for b in blocks[1:])
        return (
            0.5 + 0.1 * small + 0.05 * as_wanted + 0.1 * (subnet.resolution == 8 + 4 * (number > 2))
        )

    def fit(values: Mapping[Subnet, float]) -> QualityModel:
        number, wanted = next(rounds, (0, None))
        if wanted is not None:
            values = {subnet: wrong(subnet, number, wanted) for subnet in values}
        return fit_values(values, 1000)

    times = [ms(subnet) for subnet in every]
    plan = Predicting(random=40, together=1, values=100, seed=1)
    (best,) = search_by_prediction(
        space, [max(times)], (min(times), max(times)), latency, ms, value, fit, plan
    )
    assert best.value == max(map(worth, every))
    assert next(rounds, None) is None


def test_a_space_with_fewer_subnets_is_valued_whole(latency: LatencyModel) -> None:
    narrow = item_of(PAGE.replace("kernel 3, 5", "kernel 3").replace("8, 16", "8"), "small")
    assert isinstance(narrow, Space)
    value, ms = Asked(), SubnetLatency(narrow, latency)
    every = everyone(narrow)
    most = max(map(ms, every))
    (best,) = searched(narrow, latency, [most], value)
    assert set(value.subnets) == set(every)
    assert best.value == max(map(worth, every))


def test_equal_values_end_a_search(space: Space, latency: LatencyModel) -> None:
    """Nothing is learnt from an untrained supernet; some subnet is given all the same."""
    ms = SubnetLatency(space, latency)
    every = [ms(subnet) for subnet in everyone(space)]

    def fit(values: Mapping[Subnet, float]) -> QualityModel:
        return fit_values(values, 100)

    (best,) = search_by_prediction(
        space,
        [max(every)],
        (min(every), max(every)),
        latency,
        ms,
        lambda subnets: [0.1] * len(subnets),
        fit,
        PLAN,
    )
    assert best.value == 0.1


def test_what_a_prediction_refuses(space: Space, latency: LatencyModel) -> None:
    with pytest.raises(SpaceError, match="39 valued subnets are too few for a prediction"):
        Predicting(random=40, values=39)
    with pytest.raises(SpaceError, match="no subnet of small meets 1e-06 ms"):
        searched(space, latency, [1e-6], Asked())
    assert fewest_rows(opened(space)) == 20


def test_the_first_ones_show_every_value(space: Space, latency: LatencyModel) -> None:
    """So that a model of them says something of every subnet."""
    value = Asked()
    searched(space, latency, [1e9], value, Predicting(random=20, together=1, values=20))
    blocks = [b for subnet in value.subnets for b in subnet.stages[1].blocks]
    assert {s.resolution for s in value.subnets} == {8, 12}
    assert {s.stages[0].blocks[0].width for s in value.subnets} == {8, 16}
    assert {len(s.stages[1].blocks) for s in value.subnets} == {1, 2}
    assert {b.width for b in blocks} == {8, 16}
    assert {tuple(s.value for s in b.settings) for b in blocks} == set(product((3, 5), (2, 3)))
