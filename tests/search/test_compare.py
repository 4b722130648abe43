"""The closing table, and what becomes of a choice where losses are in doubt."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.lang.library import library
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import FRESH, compare, sensitivity
from spacedsl.search.qt_scorers import ModelScorer
from tests.cli.test_commands import run_json
from tests.search.fakes import LIMITS_MS, FakeLatency, FakeQuality, model_scorer, toy


def test_the_closing_table() -> None:
    hyper = toy()
    genome, scorer = Genome(hyper), model_scorer(hyper)
    found, reference = (genome.to_space(genome.at(i), f"s{i}") for i in (5, 200))
    table = compare(scorer, found, reference, random=7, seed=3)
    assert table.found.name == "s5"
    assert table.found.result == scorer.score(found)
    assert table.found.fresh_score == scorer.reseeded(FRESH).score(found).score
    assert table.reference is not None
    assert table.reference.result == scorer.score(reference)
    assert len({r.hash for r in table.random}) == 7
    scores = [r.result.score for r in table.random]
    assert table.random_mean == pytest.approx(sum(scores) / 7)
    assert table.random_best is not None
    assert table.random_best.result.score == max(scores)
    assert compare(scorer, found, reference, random=7, seed=3) == table
    assert compare(scorer, found, random=7, seed=4).random != table.random


def test_no_random_spaces_and_more_than_there_are() -> None:
    hyper = toy()
    genome, scorer = Genome(hyper), model_scorer(hyper)
    found = genome.to_space(genome.at(5), "s")
    none = compare(scorer, found, random=0)
    assert math.isnan(none.random_mean)
    assert (none.random_best, none.reference) == (None, None)
    assert len(compare(scorer, found, random=1000).random) == genome.size
    with pytest.raises(SpaceError, match="random spaces"):
        compare(scorer, found, random=-1)


def doubted(**doubtful: float) -> tuple[ModelScorer, FakeQuality]:
    quality = FakeQuality(doubtful={k.replace("_", "-"): v for k, v in doubtful.items()})
    return ModelScorer(toy(), FakeLatency(), quality, LIMITS_MS, samples=300, best=5), quality


def best_genotype() -> tuple[tuple[int, int], ...]:
    genome, scorer = Genome(toy()), model_scorer(toy())
    scores = {
        genome.at(i): scorer.score(genome.to_space(genome.at(i), "s")).score
        for i in range(genome.size)
    }
    return max(scores, key=lambda g: scores[g])


def test_without_doubt_every_choice_survives() -> None:
    scorer, quality = doubted()
    found = Genome(toy()).to_space(best_genotype(), "s")
    rows = sensitivity(scorer, quality, found)
    assert [r.stage for r in rows] == ["stage1", "stage2", "stage3"]
    assert all(r.survives and r.rival is None and not r.transferred for r in rows)
    assert all(r.score == scorer.score(found).score for r in rows)


@pytest.mark.parametrize(("doubt", "survives"), [(1e-9, True), (0.4, False)])
def test_transferred_choices_survive_small_doubts_only(doubt: float, survives: bool) -> None:
    genome = Genome(toy())
    best = best_genotype()
    name = genome.alternatives[1][best[1][0]][0].choices[0].block.name
    scorer, quality = doubted(**{name: doubt})
    found = genome.to_space(best, "s")
    plain, row = scorer.score(found).score, sensitivity(scorer, quality, found)[1]
    assert (row.transferred, row.block, row.uncertainty) == (True, name, doubt)
    assert row.survives == survives
    assert row.rival is not None
    assert row.rival_score <= plain
    assert row.score < plain


@pytest.mark.parametrize(("doubt", "survives"), [(1e-9, True), (0.4, False)])
def test_measured_choices_survive_small_doubts_of_others(doubt: float, survives: bool) -> None:
    genome = Genome(toy())
    best = best_genotype()
    own = genome.alternatives[1][best[1][0]][0].choices[0].block.name
    number, other = next(
        (number, w[0].choices[0].block.name)
        for number, w in enumerate(genome.alternatives[1])
        if w[0].choices[0].block.name != own
    )
    scorer, quality = doubted(**{other: doubt})
    rivals = [
        genome.to_space((best[0], (number, window), *best[2:]), "r")
        for window in range(len(genome.alternatives[1][number]))
    ]
    found = genome.to_space(best, "s")
    row = sensitivity(scorer, quality, found)[1]
    assert (row.transferred, row.rival, row.uncertainty) == (False, other, doubt)
    assert row.survives == survives
    assert row.score == scorer.score(found).score
    assert row.rival_score > max(scorer.score(rival).score for rival in rivals)


@pytest.mark.slow
def test_the_published_space_is_compared_for_the_hyperspaces_classes(tmp_path: Path) -> None:
    """A page for 10 classes is searched beside a published one for 1,000: one limit for both."""
    page = tmp_path / "mine.space"
    text = (library() / "onnxw.space").read_text()
    page.write_text(text.replace("linear -> 1000", "linear -> 10"))
    asked = ("--cycles", "20", "--population", "10", "--sample", "4")
    found = run_json("evolve", "--hyper", str(page), "--target", "vnni", *asked)
    limits = found["comparison"]["reference"]["limits"]
    assert len(limits) == 5
    assert all(limit["latency_ms"] <= limit["limit_ms"] for limit in limits)
