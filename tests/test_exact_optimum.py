"""The best space of a hyperspace: against scoring every space one by one."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from spacedsl import api
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, canonical_choices
from spacedsl.search.exact.optimum import Progress, all_tasks, optimum, solve
from spacedsl.search.exact.order import exact_share
from spacedsl.search.exact.pairs import PRECISION, Lookup, Pairs, all_genes
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_score import ModelScorer, RowsScorer
from spacedsl.tables.files import load_latency, load_quality
from tests.search_fakes import load, model_scorer, page, rows_scorer

SMALL = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4, 6 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16..48 step 16  window 2  depth 1..3  stride 2",
)
LIMITS_MS = (8.0, 10.0, 15.0, 20.0, 25.0)


def best_of_all(scorer: ModelScorer | RowsScorer) -> tuple[float, str]:
    """One by one: every space coarsely, those near the best at full detail."""
    genome, exact = Genome(scorer.hyper), ExactScorer(scorer)
    coarse = ExactScorer(scorer, searching=True)
    spaces = [genome.to_space(genome.at(i), "any") for i in range(genome.size)]
    scores = [coarse.score(space).score for space in spaces]
    near = [space for space, s in zip(spaces, scores, strict=True) if s > 0.997 * max(scores)]
    return max((exact.score(space).score, space_identity(space)) for space in near)


@pytest.mark.parametrize("make", [model_scorer, rows_scorer])
@pytest.mark.parametrize("seed", [0, 1])
def test_small_hyperspaces(make: object, seed: int) -> None:
    limits = ((1.5, 2.0, 3.0), (1.2, 2.4))[seed]
    hyper = load(SMALL)
    scorer = make(hyper, limits_ms=limits, samples=2000, best=10)  # type: ignore[operator]
    score, identity = best_of_all(scorer)
    found = optimum(ExactScorer(scorer, searching=True))
    assert found.complete
    assert found.enumerated == found.size == Genome(hyper).size
    assert found.result.score == pytest.approx(score, rel=1e-9)
    assert space_identity(found.space) == identity
    assert found.bound >= score


def part_of_onnxw(seed: int) -> Space:
    """Two block types and two windows per stage, of which one is kept in half of them."""
    hyper = api.load_space("onnxw")
    drawn = np.random.default_rng(seed)
    stages = list(hyper.stages)
    for i in hyper.elastic:
        stage = stages[i]
        choices = canonical_choices(stage)
        count = 1 + int(drawn.integers(2))
        picked = drawn.permutation(len(choices))[:count]
        windows = stage.windows
        first = int(drawn.integers(len(windows)))
        update: dict[str, object] = {
            "choices": tuple(choices[k] for k in sorted(picked)),
            "widths": windows[first],
        }
        stages[i] = stage.model_copy(update=update)
    return hyper.model_copy(update={"stages": tuple(stages)})


def test_parts_of_onnxw() -> None:
    tables = load_latency("onnxw"), load_quality("onnxw")
    hyper = part_of_onnxw(3)
    scorer = ModelScorer(hyper, *tables, LIMITS_MS)
    exact = ExactScorer(scorer, searching=True)
    assert 1 < Genome(hyper).size <= 64
    score, identity = best_of_all(scorer)
    found = optimum(exact)
    assert space_identity(found.space) == identity
    assert found.result.score == score


def test_pairs_equal_full_scores() -> None:
    """Over windows too, with rows of operators picked by the window before."""
    tables = load_latency("onnxw"), load_quality("onnxw")
    hyper = api.load_space("onnxw")
    scorer = ModelScorer(hyper, *tables, LIMITS_MS)
    pairs, full = Pairs(ExactScorer(scorer, searching=True)), ExactScorer(scorer)
    heads = pairs.heads([((0, 0), (1, 1), (2, 2)), ((3, 1), (4, 3), (5, 2))])
    tails = pairs.tails(3, (0, 2), [((0, 3), (1, 0), (2, 2)), ((3, 1), (4, 3), (5, 0))])
    scores = pairs.scores(heads, tails)
    for i, j in product(range(2), range(2)):
        space = pairs.genome.to_space((*heads.genes[i], *tails.genes[j]), "pair")
        assert scores[i, j] == pytest.approx(full.score(space).score, rel=PRECISION / 2)


def test_processes_and_journal_change_nothing(tmp_path: Path) -> None:
    scorer = model_scorer(load(SMALL))
    reached: list[Progress] = []
    path = tmp_path / "journal"
    first = optimum(ExactScorer(scorer, searching=True), journal=path, progress=reached.append)
    lines = path.read_text().splitlines(keepends=True)
    assert reached[-1].tasks == reached[-1].of == len(lines) - 1
    path.write_text("".join(lines[:3]) + lines[3][:20])
    again = optimum(ExactScorer(scorer, searching=True), jobs=2, journal=path, resume=True)
    assert again == first
    assert path.read_text() == "".join(lines)
    with pytest.raises(SpaceError, match="exists"):
        optimum(ExactScorer(scorer, searching=True), journal=path)
    other = model_scorer(load(SMALL), best=7)
    with pytest.raises(SpaceError, match="not the journal"):
        optimum(ExactScorer(other, searching=True), journal=path, resume=True)


def test_tasks_cover_the_hyperspace_once() -> None:
    pairs = Pairs(ExactScorer(model_scorer(load(SMALL)), searching=True))
    done = [solve(pairs, i, task) for i, task in enumerate(all_tasks(pairs))]
    assert sum(d.spaces for d in done) == pairs.genome.size == len(all_genes(pairs.genome, 0, 3))


def test_lookup() -> None:
    s = np.geomspace(1e-9, 1.0, 1000)
    found = Lookup(5000, 20)(s.astype(np.float32))
    assert found == pytest.approx(exact_share(s, 5000, 20), rel=3e-3, abs=1e-7)


def test_a_scorer_that_does_not_search_is_refused() -> None:
    with pytest.raises(ValueError, match="searches"):
        optimum(ExactScorer(model_scorer(load(SMALL))))
