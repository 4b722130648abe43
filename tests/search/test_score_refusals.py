"""What a score refuses: tables that lack something, and options that mean nothing."""

from __future__ import annotations

import math

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.passes.bind import Site
from spacedsl.search.candidate import Genome
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from tests.search.fakes import (
    LIMITS_MS,
    FakeLatency,
    FakeQuality,
    FakeRows,
    model_scorer,
    rows_scorer,
    toy,
)


def raised(scorer: ModelScorer | RowsScorer, space: Space) -> str:
    with pytest.raises(SpaceError) as caught:
        scorer.score(space)
    assert [d.code for d in caught.value.diagnostics] == ["uncovered"]
    return caught.value.diagnostics[0].message


def test_what_tables_lack_is_listed() -> None:
    hyper = toy()
    genome = Genome(hyper)
    blocks = [windows[0].choices[0].block.name for windows in genome.alternatives[1]]
    mbv2 = blocks.index("mbv2")
    other = 1 if mbv2 == 0 else 0
    space = genome.to_space(((other, 0), (mbv2, 0), (other, 0)), "s")
    message = raised(ModelScorer(hyper, FakeLatency(), FakeQuality(lacks="mbv2"), LIMITS_MS), space)
    assert "lack 1 entry that" in message
    assert "stage2 mbv2: every loss" in message
    wide = FakeLatency(uncovered=lambda s: s.cout == 48 and s.stride == 1 and s.size > 5)
    message = raised(ModelScorer(hyper, wide, FakeQuality(), LIMITS_MS), space)
    assert "stage2 mbv2: latency of a first block 16 -> 48 kernel 3 expand 4 at 32" in message
    assert "and " in message.splitlines()[-1]
    assert len(message.splitlines()) == 22
    message = raised(ModelScorer(hyper, FakeLatency(), FakeQuality(hole=48), LIMITS_MS), space)
    assert "stage2 mbv2: loss of block 1 of 2, 16 -> 48 kernel 3 expand 4 at 32" in message
    head = FakeLatency(uncovered=lambda s: s.cout == 0)
    assert "head: latency of body" in raised(
        ModelScorer(hyper, head, FakeQuality(), LIMITS_MS), space
    )
    rows = RowsScorer(hyper, FakeRows(lacks=3), FakeLatency(), LIMITS_MS)
    assert "stage3" in raised(rows, space)


def test_a_whole_hyperspace_can_be_required() -> None:
    hyper = toy()
    model_scorer(hyper).require(hyper)
    rows_scorer(hyper).require(hyper)
    with pytest.raises(SpaceError, match="stage3 mbv2: every loss"):
        ModelScorer(hyper, FakeLatency(), FakeQuality(lacks="mbv2"), LIMITS_MS).require(hyper)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"limits_ms": ()}, "bad-limits"),
        ({"limits_ms": (0.0,)}, "bad-limits"),
        ({"limits_ms": (math.nan,)}, "bad-limits"),
        ({"limits_ms": (8.0, 8.0)}, "bad-limits"),
        ({"samples": 0}, "bad-option"),
        ({"best": 0}, "bad-option"),
        ({"seed": -1}, "bad-option"),
        ({"definition": "theirs"}, "bad-definition"),
    ],
)
def test_bad_options(options: dict[str, object], code: str) -> None:
    with pytest.raises(SpaceError, match=code):
        model_scorer(toy(), **options)


def test_a_hyperspace_has_no_score() -> None:
    hyper = toy()
    with pytest.raises(SpaceError, match="not-a-space"):
        model_scorer(hyper).score(hyper)


def test_bad_tables_are_refused() -> None:
    hyper = toy()
    space = Genome(hyper).to_space(Genome(hyper).at(0), "s")

    class Negative(FakeLatency):
        def ms(self, site: Site) -> float:
            return -1.0

    with pytest.raises(SpaceError, match="bad-table"):
        ModelScorer(hyper, Negative(), FakeQuality(), LIMITS_MS).score(space)
