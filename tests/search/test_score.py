"""The Q-T score against a plain loop over subnets, and its laws."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import normal_ops, space_identity
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.operators.size import as_number
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.search.candidate import Genome
from spacedsl.search.protocols import Floats
from spacedsl.search.qt_scorers import ModelScorer, score_json
from spacedsl.search.space_score import authors_score, limit_score
from spacedsl.search.stream import uniforms
from tests.search.fakes import (
    LIMITS_MS,
    RESOLUTIONS,
    STAGE1,
    FakeLatency,
    FakeQuality,
    FakeRows,
    load,
    model_scorer,
    page,
    rows_scorer,
    toy,
)

SAMPLES = 300


@cache
def fixed_ms(space: Space, resolution: int) -> float:
    """Latency of stem and head of the smallest subnet, in ms."""
    sites = subnet_sites(smallest(space, resolution))
    rigid = [s for s, stage in zip(sites, space.stages, strict=True) if not stage.elastic]
    return float(sum(FakeLatency().ms(site) for run in rigid for site in run))


drawn = cache(uniforms)


class Subnets:
    """One subnet at a time, by plain Python."""

    def __init__(self, space: Space, seed: int, samples: int, lot: int = 0) -> None:
        self.space, self.seed, self.samples, self.lot = space, seed, samples, lot

    def draw(self, i: int, key: tuple[int, int, int], values: Sequence[float]) -> float:
        u = float(drawn(self.seed, (self.lot, *key), self.samples)[i])
        return values[math.floor(u * len(values))]

    def measure(self, i: int) -> tuple[float, float]:
        """Latency in ms and loss of subnet `i`."""
        resolution = int(self.draw(i, (0, 0, 0), RESOLUTIONS))
        sizes = stage_sizes(self.space, resolution)
        latency_ms, loss = fixed_ms(self.space, resolution), 0.0
        cin = 3
        number = 0
        for position, stage in enumerate(self.space.stages):
            if not stage.elastic:
                cin = stage.widths[0] if stage.widths else cin
                continue
            number, size = number + 1, sizes[position]
            choice = stage.choices[0]
            roles = normal_ops(choice)[1]
            losses = FakeQuality().stage(number, choice)
            assert losses is not None
            depth = int(self.draw(i, (number, 0, 0), stage.depths))
            total = losses.base(resolution, depth, np.array([cin]))
            for block in range(depth):
                at = {
                    name: 1 if name in stage.shared else block + 1
                    for name in ("width", *(a.name for a in choice.chosen))
                }
                width = int(self.draw(i, (number, at["width"], 0), stage.widths))
                settings = {
                    a.name: self.draw(
                        i,
                        (number, at[a.name], 1 + int(roles[a.name][1:])),
                        [as_number(v) for v in a.values if not isinstance(v, str)],
                    )
                    for a in choice.chosen
                }
                stride = stage.stride if block == 0 else 1
                site = Site(choice, cin, width, size, stride, tuple(settings.items()))
                latency_ms += FakeLatency().ms(site)
                total = total + losses.terms(
                    resolution,
                    depth,
                    block,
                    np.array([cin]),
                    np.array([width]),
                    {name: np.array([value]) for name, value in settings.items()},
                )
                size, cin = sizes[position + 1], width
            loss += float(losses.link(total)[0])
        return latency_ms, loss

    def all(self) -> tuple[Floats, Floats]:
        measured = np.array([self.measure(i) for i in range(self.samples)])
        return measured[:, 0], measured[:, 1]


def plain_score(latency_ms: Floats, loss: Floats, limit: float, best: int) -> tuple[float, int]:
    under = sorted((1 / x for t, x in zip(latency_ms, loss, strict=True) if t <= limit))[-best:]
    return sum(under) / best, best - len(under)


SHARED = page(stage1=f"{STAGE1}  shared width, kernel")


MIDDLE = page(
    middle="""stage0 { mbv1-dual { kernel 3 }  width 24, 32  depth 2..3  stride 2 }
  smooth { avgpool 3x3 }"""
)


@pytest.mark.parametrize(
    "hyper", [toy(), load(SHARED), load(MIDDLE)], ids=["plain", "shared", "middle"]
)
@pytest.mark.parametrize("index", [0, 100, 215])
def test_score_is_that_of_a_plain_loop(hyper: Space, index: int) -> None:
    genome = Genome(hyper)
    space = genome.to_space(genome.at(index), "s")
    latency_ms, loss = Subnets(space, 7, SAMPLES).all()
    limits = (*np.quantile(latency_ms, [0.005, 0.1, 0.6]).tolist(), 1e-3)
    found = model_scorer(hyper, seed=7, limits_ms=limits).score(space)
    for got, limit in zip(found.limits, limits, strict=True):
        score, missing = plain_score(latency_ms, loss, limit, 5)
        assert got.score == pytest.approx(score, rel=1e-12)
        assert got.missing == missing
    assert [s.missing for s in found.limits] == [3, 0, 0, 5]
    assert found.score == math.fsum(s.score for s in found.limits)


def test_authors_definition_draws_anew_for_each_limit() -> None:
    hyper = toy()
    genome = Genome(hyper)
    space = genome.to_space(genome.at(50), "s")
    limits = (1.6, 2.5, 1e-3)
    options = {"definition": "authors", "seed": 2, "limits_ms": limits}
    found = model_scorer(hyper, **options).score(space)
    for lot, (limit, got) in enumerate(zip(limits, found.limits, strict=True), 1):
        latency_ms, loss = Subnets(space, 2, SAMPLES, lot).all()
        under = sorted(loss[latency_ms <= limit].tolist())
        if not under:
            assert (got.score, got.missing) == (0.0, 5)
            continue
        penalty = max(1.0, (0.08 / (len(under) / SAMPLES)) ** 0.01)
        kept = under[:5]
        assert got.score == pytest.approx(len(kept) / sum(kept) / penalty, rel=1e-12)


def test_rows_take_one_row_per_stage_at_one_resolution() -> None:
    hyper = toy()
    genome = Genome(hyper)
    space = genome.to_space(genome.at(33), "s")
    found = rows_scorer(hyper, seed=5).score(space)
    latency_ms, loss = [], []
    for i in range(SAMPLES):
        resolution = RESOLUTIONS[int(uniforms(5, (0, 0, 0, 0), SAMPLES)[i] * len(RESOLUTIONS))]
        t, x = fixed_ms(space, resolution), 0.0
        for number, position in enumerate(space.elastic, 1):
            stage = space.stages[position]
            rows = FakeRows().rows(number, stage.choices[0], stage.widths, resolution)
            assert rows is not None
            row = int(uniforms(5, (0, number, 0, 1), SAMPLES)[i] * len(rows[0]))
            t, x = t + rows[0][row], x + rows[1][row]
        latency_ms.append(t)
        loss.append(x)
    for got in found.limits:
        score, missing = plain_score(np.array(latency_ms), np.array(loss), got.limit_ms, 5)
        assert got.score == pytest.approx(score, rel=1e-12)
        assert got.missing == missing


REORDERED = """
    mbv1-dual { kernel 5, 3 }
    two { act relu6  e 6, 4  k 3, 5 }
    bottleneck { kernel 3, 5  expand 0.5, 1 }"""

RENAMED = """block two(act, e, k) {
  wide = round8(cin * e)
  conv 1x1 -> wide act elide
  dwconv k act strided
  conv 1x1
  shortcut projected
}
"""


def test_equal_hashes_score_and_rank_alike() -> None:
    plain, other = toy(), load(page(REORDERED, more=RENAMED))
    assert space_identity(plain) == space_identity(other)
    for index in range(0, 216, 31):
        spaces = [Genome(h).to_space(Genome(h).at(index), "s") for h in (plain, other)]
        assert space_identity(spaces[0]) == space_identity(spaces[1])
        scores = [model_scorer(h).score(s) for h, s in zip((plain, other), spaces, strict=True)]
        assert scores[0].limits == scores[1].limits


def test_scores_do_not_depend_on_what_was_scored_before() -> None:
    hyper = toy()
    genome = Genome(hyper)
    warm = model_scorer(hyper)
    spaces = [genome.to_space(genome.at(i), "s") for i in range(0, 216, 9)]
    later = [warm.score(s).score for s in reversed(spaces)]
    assert later[::-1] == [model_scorer(hyper).score(s).score for s in spaces]


def test_a_small_cache_changes_nothing() -> None:
    hyper = toy()
    genome = Genome(hyper)
    spaces = [genome.to_space(genome.at(i), "s") for i in range(0, 216, 9)]
    small = model_scorer(hyper)
    small._vectors.limit = 20_000
    small._draws[0]._kept.limit = 5_000
    assert [small.score(s) for s in spaces] == [model_scorer(hyper).score(s) for s in spaces]
    assert small._vectors.held <= 20_000
    assert small._draws[0]._kept.held <= 5_000


def test_seeds_give_other_subnets() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(9), "s")
    scorer = model_scorer(hyper)
    assert scorer.score(space).score != scorer.reseeded(1).score(space).score
    assert scorer.reseeded(1).score(space) == model_scorer(hyper, seed=1).score(space)
    rows = rows_scorer(hyper)
    assert rows.reseeded(3).score(space) == rows_scorer(hyper, seed=3).score(space)


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=60), st.integers(1, 30))
def test_a_looser_limit_never_lowers_a_score(latencies: list[float], best: int) -> None:
    latency_ms = np.array(latencies)
    accuracy = 1 / (1 + np.arange(len(latencies)) % 7)
    scores = [limit_score(latency_ms, accuracy, t, best) for t in (0.5, 1, 2, 4, 8, 10)]
    for low, high in pairwise(scores):
        assert low.score <= high.score
        assert low.missing >= high.missing
    assert scores[-1].missing == max(0, best - len(latencies))


def test_authors_penalise_few_subnets_and_skip_none() -> None:
    latency_ms, loss = np.arange(1.0, 101.0), np.full(100, 0.5)
    assert authors_score(latency_ms, loss, 50, 50).score == 2.0
    assert authors_score(latency_ms, loss, 4, 2).score == pytest.approx(2 / 2**0.01)
    assert authors_score(latency_ms, loss, 0.5, 50).score == 0.0


def test_the_result_reports_fixed_parts_and_coverage() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(215), "s")
    result = model_scorer(hyper).score(space)
    for resolution in RESOLUTIONS:
        parts = result.fixed_latency_ms[resolution]
        assert parts.keys() == {"stem", "head", "total"}
        assert parts["total"] == pytest.approx(fixed_ms(space, resolution))
    shares = dict(result.coverage)
    assert shares.keys() == {"measured", "interpolated", "estimated"}
    assert sum(shares.values()) == pytest.approx(1)
    assert 0 < shares["interpolated"] < 1
    data = score_json(result)
    assert json.loads(json.dumps(data)) == data
    assert data["fixed_coverage"] == {"stem": "measured", "head": "measured"}


def test_a_narrower_space_and_one_without_a_hyperspace_have_scores() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(20), "s")
    first = space.elastic[0]
    stage = space.stages[first].model_copy(update={"widths": (32,), "window": 1, "depths": (2,)})
    stages = (*space.stages[:first], stage, *space.stages[first + 1 :])
    narrow = space.model_copy(update={"stages": stages, "of": None})
    assert model_scorer(hyper).score(narrow).score > 0
    with pytest.raises(SpaceError, match="not-in-rows"):
        rows_scorer(hyper).score(narrow)


def test_only_resolutions_that_all_know_are_drawn() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(20), "s")
    scorer = model_scorer(hyper)
    assert scorer.chain(space).resolutions == RESOLUTIONS
    latency = FakeLatency(resolutions=(48, 96))
    narrow = ModelScorer(hyper, latency, FakeQuality(), LIMITS_MS)
    with pytest.raises(SpaceError, match="none of the resolutions"):
        narrow.score(space)


def test_shared_widths_need_no_blocks_that_change_them() -> None:
    hyper = load(SHARED)

    def changes(site: Site) -> bool:
        later = site.stride == 1 and site.size in {8, 16} and site.cout <= 32
        return later and site.cin <= 32 and site.cin != site.cout

    space = Genome(hyper).to_space(((0, 0), (0, 1), (0, 0)), "s")
    scorer = ModelScorer(hyper, FakeLatency(uncovered=changes), FakeQuality(), LIMITS_MS)
    assert scorer.score(space).score > 0


def test_a_shift_raises_a_stages_loss() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(77), "s")
    scorer = model_scorer(hyper)
    plain = scorer.score(space)
    assert scorer.score(space, {2: 0.1}).score < plain.score < scorer.score(space, {2: -0.1}).score
    assert replace(scorer.score(space, {1: 0.0})) == plain


def test_default_samples_follow_the_definition() -> None:
    hyper = toy()
    for definition, samples, best in (("qt", 5_000, 20), ("authors", 100_000, 50)):
        scorer = model_scorer(hyper, definition=definition, samples=None, best=None)
        assert (scorer.settings.samples, scorer.settings.best) == (samples, best)
