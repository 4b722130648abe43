"""Scores by the best networks of a space, against all of its networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch
from spacedsl.operators.size import Pair, as_number
from spacedsl.passes.network import subnet_identity
from spacedsl.search.best.calls import Call
from spacedsl.search.best.networks import Network, beyond_said
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import Genome
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.compare import random_genotypes
from spacedsl.search.protocols import Floats, Known, Unit
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.targets.latency import model_latency
from tests.compiler.every_network import Everything, best
from tests.search.fakes import FakeLatency, FakeQuality, load, page, rows_scorer, toy
from tests.search.test_exact_score import FIXED, SHARED, SMALL

CARRIED = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }",
    stage1="width 16..48 step 16  window 2  depth 1..2  stride 2",
    stage2="width 32..64 step 16  window 2  depth 1",
    middle="between { maxpool 3x3 }",
)
"""A body that keeps the width stands between two elastic stages."""

LEFT_OUT = """language 1
block maybe(used, kernel) {
  optional used { conv 1x1 -> cin * 2 relu  dwconv kernel relu  conv 1x1  shortcut identity }
}
block halved(kernel) { dwconv kernel relu strided  conv 1x1 }
hyperspace toy {
  input 3 x 32..64 step 16
  stem { conv 3x3 relu strided  width 16  stride 2 }
  elastic stage1 { halved { kernel 3, 5 }  width 32  depth 1  stride 2 }
  elastic stage2 { maybe { used 0, 1  kernel 3, 5 }  width 32  depth 1..2 }
  elastic stage3 { maybe { used 0, 1  kernel 3, 5 }  width 32  depth 1..2 }
  head { conv 1x1 -> 96 relu  pool  linear -> 10 }
}
"""
"""Blocks may be left out, each at several places, and two stages are alike."""

PAGES = [SMALL, SHARED, FIXED, LEFT_OUT]


@dataclass(frozen=True)
class Percent:
    """A made-up calibration: what a loss is worth depends on the resolution, and falls below 0."""

    known: Known | None = None

    @property
    def unit(self) -> Unit:
        """As `Valuation.unit`."""
        return "top-1"

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.value`."""
        return 80.0 - 20.0 * np.exp(0.3 * (loss - 2.0)) - 300.0 / as_number(resolution)

    def sd(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.sd`."""
        return np.full(loss.shape, 0.5)

    @property
    def optimism(self) -> float | None:
        """As `Valuation.optimism`."""
        return 1.5


VALUATIONS = {"1/loss": FakeQuality(), "top-1": FakeQuality(valuation=Percent())}


@cache
def every(text: str, seed: int) -> tuple[Genome, tuple[tuple[int, int], ...], Everything]:
    """A space of a hyperspace, and all of its networks."""
    genome = Genome(load(text))
    (genotype,) = random_genotypes(genome, 1, Stream(seed))
    space = genome.to_space(genotype, "one")
    return genome, genotype, Everything(space, FakeLatency(), FakeQuality())


def worth(networks: Everything, quality: FakeQuality) -> Floats:
    """What each network is worth."""
    found = np.empty(len(networks.loss))
    for r in networks.resolutions:
        at = networks.resolution == r
        found[at] = quality.valuation.value(networks.loss[at], r)
    return found


def scorer_of(text: str, quality: FakeQuality, **options: object) -> BestScorer:
    latency = FakeLatency()
    return BestScorer(ModelScorer(load(text), latency, quality, definition="best", **options))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("text", PAGES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1),
    count=st.sampled_from([1, 3, 20]),
    limits=st.lists(st.sampled_from([0.3, 0.9, 1.2, 1.7, 2.2, 9.0]), min_size=1, unique=True),
    unit=st.sampled_from(sorted(VALUATIONS)),
)
def test_no_network_is_better(
    text: str, seed: int, count: int, limits: list[float], unit: str
) -> None:
    genome, genotype, networks = every(text, seed)
    quality = VALUATIONS[unit]
    values = worth(networks, quality)
    scorer = scorer_of(text, quality, limits_ms=limits, best=count)
    wanted = [best(values, networks.ms, networks.network, limit, count) for limit in limits]
    (found,) = scorer.limits(genome, [genotype])
    assert [x.score for x in found] == pytest.approx([w.sum() / count for w in wanted], rel=1e-12)
    assert [x.missing for x in found] == [count - len(w) for w in wanted]
    result = scorer.score(networks.space)
    assert result.limits == found
    assert result.score == fsum(x.score for x in found)
    assert result.unit == unit
    for limit, some, best_ones in zip(limits, result.networks, wanted, strict=True):
        assert [n.value for n in some] == pytest.approx(best_ones.tolist(), rel=1e-12)
        assert len({subnet_identity(n.subnet) for n in some}) == len(some)
        for network in some:
            assert mismatch(networks.space, network.subnet.of) is None
            parts = model_latency(network.subnet, FakeLatency())
            assert network.latency_ms == fsum(part.ms for part in parts)  # as `show` says
            assert network.latency_ms <= limit * (1 + 1e-12)
            value = quality.valuation.value(np.array([network.loss]), network.subnet.resolution)
            assert value[0] == network.value
            assert network.sd == (None if unit == "1/loss" else 0.5)


def test_what_lies_beyond_known_networks_is_extrapolated() -> None:
    """A network of other accuracies, at another resolution or of another number of stages."""
    space = every(SMALL, 0)[2].space
    stages, limits = len(space.elastic), (0.9, 1.7, 9.0)

    def shown(known: Known | None) -> list[Network]:
        quality = FakeQuality(valuation=Percent(known))
        found = scorer_of(SMALL, quality, limits_ms=limits).score(space)
        return [networks[0] for networks in found.networks if networks]

    plain = shown(None)
    assert not any(n.extrapolated for n in plain)
    values, sizes = ([f(n) for n in plain] for f in (_value, _size))
    assert min(values) < max(values)
    everything = Known(stages, (min(values), max(values)), (1, 1000))
    assert shown(everything) == plain
    poorer = Known(stages, (0, min(values)), (1, 1000))
    assert [n.extrapolated for n in shown(poorer)] == [v > min(values) for v in values]
    smaller = Known(stages, (0, 100), (1, max(sizes) - 1))
    assert [n.extrapolated for n in shown(smaller)] == [s == max(sizes) for s in sizes]
    for n, of in zip(shown(poorer), plain, strict=True):
        assert (n.sd, n.expected, n.value) == (of.sd, of.expected, of.value)
        assert n.points == f"{n.value:.2f}{'*' if n.extrapolated else ''} ± 0.50"
    more = Known(stages + 1, (0, 100), (1, 1000))
    assert all(n.extrapolated and n.sd is n.expected is None for n in shown(more))
    assert beyond_said([shown(more), shown(more)]) == [
        f"* Extrapolated: accuracies are known of networks of {stages + 1} elastic stages, with "
        "0 to 100 % top-1, at 1 to 1000 px"
    ]


def _value(network: Network) -> float:
    return network.value


def _size(network: Network) -> float:
    return as_number(network.subnet.resolution)


@pytest.mark.slow
@pytest.mark.parametrize("text", [CARRIED, FIXED])
def test_what_stands_between_sees_the_width_that_comes(text: str) -> None:
    """As in the networks themselves, block by block; many spaces at once score as each alone."""
    hyper = load(text)
    scorer = scorer_of(text, FakeQuality(), limits_ms=(1.2, 1.7, 9.0))
    genome = Genome(hyper)
    genotypes = random_genotypes(genome, 6, Stream(3))
    together = list(scorer.limits(genome, genotypes))
    for genotype, found in zip(genotypes, together, strict=True):
        space = genome.to_space(genotype, "any")
        networks = Everything(space, FakeLatency(), FakeQuality())
        values = 1.0 / networks.loss
        wanted = [
            best(values, networks.ms, networks.network, limit, 1) for limit in scorer.limits_ms
        ]
        assert [x.score for x in found] == pytest.approx([w.sum() for w in wanted], rel=1e-12)
        assert list(scorer.limits(genome, [genotype])) == [found]
        assert scorer.score(space).limits == found


def test_weights_and_targets() -> None:
    """Weights multiply what limits add; several targets make a sum or the worst."""
    genome, genotype, networks = every(SMALL, 0)
    plain = scorer_of(SMALL, FakeQuality(), limits_ms=(1.5, 3.0))
    heavy = scorer_of(SMALL, FakeQuality(), limits_ms=(1.5, 3.0), weights=(1.0, 2.5))
    (limits,) = plain.limits(genome, [genotype])
    assert heavy.score(networks.space).score == fsum([limits[0].score, 2.5 * limits[1].score])
    assert heavy.identity != plain.identity
    parts = {"a": plain, "b": heavy}
    scores = [part.score(networks.space).score for part in parts.values()]
    for combine, wanted in ((Combine.sum, fsum(scores)), (Combine.worst, min(scores))):
        joined = CombinedScorer(parts, combine)
        (found,) = joined.limits(genome, [genotype])
        assert joined.total(found) == joined.score(networks.space).score == wanted


def test_raised_losses_count_as_in_a_table_that_has_them() -> None:
    genome, genotype, networks = every(SMALL, 0)
    scorer = scorer_of(SMALL, FakeQuality(), limits_ms=(1.5, 3.0))
    plain = scorer.score(networks.space)
    for warm in (False, True):  # one space alone, and among those of the hyperspace
        if warm:
            list(scorer.limits(genome, [genotype]))
        raised = scorer.score(networks.space, {2: 0.25})
        for before, after in zip(plain.networks, raised.networks, strict=True):
            assert after[0].loss == pytest.approx(before[0].loss + 0.25, rel=1e-12)
        assert scorer.score(networks.space, {2: 0.0}) == plain


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"samples": 100}, "draws no samples"),
        ({"weights": (1.0,)}, "1 weights for 2 latency limits"),
        ({"weights": (1.0, -1.0)}, "-1 is no weight"),
        ({"best": 0}, "best 0 is not in"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(SpaceError, match=why):
        scorer_of(SMALL, FakeQuality(), limits_ms=(1.5, 3.0), **options)
    with pytest.raises(SpaceError, match="do not chain"):
        BestScorer(rows_scorer(toy()))


def test_a_loss_that_is_no_number_is_an_error() -> None:
    @dataclass(frozen=True)
    class Nothing(Percent):
        def value(self, loss: Floats, resolution: float | Pair) -> Floats:
            return np.full(loss.shape, np.nan)

    scorer = scorer_of(SMALL, FakeQuality(valuation=Nothing()), limits_ms=(3.0,))
    with pytest.raises(SpaceError, match="worth no number"):
        scorer.score(every(SMALL, 0)[2].space)


def test_networks_of_the_same_layers_count_once() -> None:
    """It does not matter which of two places alike is left empty."""
    genome, genotype, networks = every(LEFT_OUT, 0)
    scorer = scorer_of(LEFT_OUT, FakeQuality(), limits_ms=(9.0,), best=200)
    different = len(set(networks.network.tolist()))
    assert different == 124 < len(networks.loss)
    (found,) = scorer.limits(genome, [genotype])
    assert found[0].missing == 200 - different
    (listed,) = scorer.top(networks.space, 200)
    assert len({subnet_identity(n.subnet) for n in listed}) == len(listed) == different


@pytest.mark.parametrize(
    ("rival_score", "clear", "unless", "said"),
    [
        (390.0, True, None, "mbv2 is clearly better than fused, the next best (2.50%)"),
        (
            390.0,
            False,
            "mbv2",
            "mbv2 is better than fused, the next best (2.50%), unless its transferred losses are "
            "too low",
        ),
        (
            390.0,
            False,
            "fused-se",
            "mbv2 is better than fused, the next best (2.50%), unless the transferred losses of "
            "fused-se are too high",
        ),
        (399.6, False, None, "mbv2 or fused: too close to call (0.10% apart)"),
        (400.01, False, None, "mbv2 or fused: too close to call (0.00% apart)"),
        (404.0, False, None, "fused scores 1.00% more than mbv2, which a longer search may find"),
    ],
)
def test_what_is_said_of_a_stage_is_true(
    rival_score: float, clear: bool, unless: str | None, said: str
) -> None:
    """A search that ended early may have left something better."""
    call = Call("stage1", "mbv2", "fused", 400.0, rival_score, clear, unless)
    assert call.said == f"stage1: {said}"
