"""The best spaces of a hyperspace: against scoring every space one by one."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl.search.candidate import Genome, canonical_choices
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.bounds import conjugate
from spacedsl.search.exact.branch import Branch
from spacedsl.search.exact.detail import TRUSTED
from spacedsl.search.exact.executors import Executor, Processes, Ray, serial
from spacedsl.search.exact.found import Optimum, Progress
from spacedsl.search.exact.halves import Halves
from spacedsl.search.exact.joint import Joint
from spacedsl.search.exact.neighbours import neighbours
from spacedsl.search.exact.optimum import evolved, optimum
from spacedsl.search.exact.order import exact_share
from spacedsl.search.exact.pairs import PRECISION, Lookup, Pairs
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.exact.searching import search_scorer
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.tables.files import load_latency, load_quality
from tests.search.fakes import load, model_scorer, page, rows_scorer

SMALL = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4, 6 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16..48 step 16  window 2  depth 1..3  stride 2",
)
NARROW = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16..48 step 16  window 2  depth 1..2  stride 2",
    stage2="width 32, 48  window 1  depth 1, 2",
)
LIMITS_MS = (8.0, 10.0, 15.0, 20.0, 25.0)


def all_scores(scorer: ModelScorer | RowsScorer) -> list[tuple[float, str]]:
    """One by one, every subnet of every space; best first."""
    genome, exact = Genome(scorer.hyper), ExactScorer(scorer)
    spaces = [genome.to_space(genome.at(i), "any") for i in range(genome.size)]
    return sorted(((exact.score(s).score, space_identity(s)) for s in spaces), reverse=True)


def searched(scorer: ModelScorer | RowsScorer, top: int = 1, cycles: int = 6) -> Optimum:
    """By bounds, also where there are so few subnets that all would be scored."""
    return optimum(ExactScorer(scorer, searching=True), top=top, cycles=cycles, exhaustive=0)


def accounted(found: Optimum) -> bool:
    return found.enumerated + sum(found.pruned.values()) + found.open == found.size


@pytest.mark.slow
@pytest.mark.parametrize("make", [model_scorer, rows_scorer])
@pytest.mark.parametrize("seed", [0, 1])
def test_small_hyperspaces(make: object, seed: int) -> None:
    limits = ((1.5, 2.0, 3.0), (1.2, 2.4))[seed]
    scorer = make(load(SMALL), limits_ms=limits, samples=2000, best=10)  # type: ignore[operator]
    wanted = all_scores(scorer)
    found = searched(scorer)
    assert found.complete == (found.precision <= TRUSTED)
    assert accounted(found)
    assert found.open == 0
    assert make is rows_scorer or sum(found.pruned.values()) > found.size / 4
    assert found.result.score == pytest.approx(wanted[0][0], rel=1e-9)
    assert space_identity(found.space) == wanted[0][1]
    assert wanted[0][0] <= found.bound <= wanted[0][0] + found.best[0].error


@pytest.mark.slow
@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    limits=st.lists(
        st.sampled_from([0.8, 1.2, 1.6, 2.2, 3.0]), min_size=1, max_size=3, unique=True
    ),
    samples=st.sampled_from([40, 400, 4000]),
    best=st.sampled_from([1, 5, 20]),
    top=st.integers(1, 4),
    windows=st.sampled_from(["width 16..48 step 16  window 2", "width 16, 32  window 1"]),
)
def test_any_small_hyperspace(
    limits: list[float], samples: int, best: int, top: int, windows: str
) -> None:
    """Whatever the limits, the bounds lose none of the best spaces."""
    text = page(
        blocks="\n    mbv2 { kernel 3, 5  expand 4 }\n    mbv1-dual { kernel 3, 5 }",
        stage1=f"{windows}  depth 1..2  stride 2",
        stage2="width 32, 48  window 1  depth 1, 2",
    )
    scorer = model_scorer(load(text), limits_ms=tuple(limits), samples=samples, best=best)
    wanted = all_scores(scorer)[:top]
    found = searched(scorer, top=top)
    assert accounted(found)
    scores = [r.result.score for r in found.best]
    assert scores[: len(wanted)] == pytest.approx([score for score, _ in wanted], rel=1e-9)


def part_of_onnxw(seed: int, open_stages: int) -> Space:
    """One width window per stage; two block types in the first stages, one in the others."""
    hyper = api.load_space("onnxw")
    drawn = np.random.default_rng(seed)
    stages = list(hyper.stages)
    for number, i in enumerate(hyper.elastic):
        choices = canonical_choices(stages[i])
        picked = drawn.permutation(len(choices))[: 2 if number < open_stages else 1]
        update: dict[str, object] = {
            "choices": tuple(choices[k] for k in sorted(picked)),
            "widths": stages[i].windows[int(drawn.integers(len(stages[i].windows)))],
        }
        stages[i] = stages[i].model_copy(update=update)
    return hyper.model_copy(update={"stages": tuple(stages)})


@pytest.fixture(scope="module")
def onnxw() -> tuple[Space, ModelScorer]:
    hyper = api.load_space("onnxw")
    return hyper, ModelScorer(hyper, load_latency("onnxw"), load_quality("onnxw"), LIMITS_MS)


@pytest.fixture(scope="module")
def pairs(onnxw: tuple[Space, ModelScorer]) -> Pairs:
    return Pairs(Halves(ExactScorer(onnxw[1], searching=True)))


@pytest.mark.slow
def test_parts_of_onnxw() -> None:
    tables = load_latency("onnxw"), load_quality("onnxw")
    scorer = ModelScorer(part_of_onnxw(3, 3), *tables, LIMITS_MS)
    genome, exact = Genome(scorer.hyper), ExactScorer(scorer)
    assert genome.size == 8
    scores = [exact.score(genome.to_space(genome.at(i), "any")).score for i in range(8)]
    found = searched(scorer, cycles=2)
    assert found.result.score == max(scores)
    assert found.complete == (found.precision <= TRUSTED)
    assert found.deviation <= found.precision  # a narrow hyperspace is searched less precisely


@pytest.mark.slow
def test_bounds_are_bounds(pairs: Pairs) -> None:
    """On random spaces of onnxw, and tight where a tangent touches."""
    joint = Joint([pairs])
    history = evolved(joint, 20)
    branch = Branch(joint, [r.genotype for r in history[:3]], history[0].score)
    good = ((0, 0), (5, 1), (0, 2), (2, 2), (3, 1), (0, 0))
    head, tail = pairs.split(good)
    (touching,) = branch.planes_at(good)[0].tangents
    assert touching is not None
    met = (head.transform.astype(complex) * tail.transform).sum(axis=(0, 1))
    bound = touching.constant + float((touching.weights.ravel() * met).sum().real)
    score = pairs.score(good)
    assert score * (1 - 1e-4) < bound < score * 1.01
    for record in history:
        head, tail = pairs.split(record.genotype)
        met = (head.transform.astype(complex) * tail.transform).sum(axis=(0, 1))
        for t in (plane.tangents[0] for plane in branch.planes):
            assert t is not None
            bound = t.constant + float((t.weights.ravel() * met).sum().real)
            assert bound > record.score * (1 - PRECISION / 2)


def test_conjugate_bounds_the_share() -> None:
    """f(S) <= f*(p) + p S, with equality somewhere."""
    s = np.geomspace(1e-8, 1.0, 4000)
    for n, m in ((5000, 20), (40, 5), (7, 7), (5, 1)):
        share = exact_share(s, n, m)
        slopes = np.array([0.0, 1e-3, 0.3, 0.9 * n / m, n / m, 2 * n / m])
        slack = conjugate(slopes, n, m)[:, None] + slopes[:, None] * s - share
        assert slack.min() > -1e-12
        assert slack.min(axis=1) == pytest.approx(np.zeros(6), abs=2e-3)


@pytest.mark.slow
def test_pairs_equal_full_scores(onnxw: tuple[Space, ModelScorer]) -> None:
    """Over windows too, with rows of operators picked by the window before."""
    halves = Halves(ExactScorer(onnxw[1], searching=True))
    pairs, full = Pairs(halves), ExactScorer(onnxw[1])
    heads = [((0, 0), (1, 1), (2, 2)), ((3, 1), (4, 3), (5, 2))]
    tails = [((0, 3), (1, 0), (2, 2)), ((3, 1), (4, 3), (5, 0))]
    genotypes = [(*h, *t) for h, t in product(heads, tails)]
    scores = pairs.limits(genotypes).sum(axis=1)
    for genotype, score in zip(genotypes, scores, strict=True):
        space = halves.genome.to_space(genotype, "pair")
        assert score == pytest.approx(full.score(space).score, rel=PRECISION / 2)
        assert pairs.score(genotype) == score


@pytest.mark.parametrize("text", [SMALL, NARROW])
def test_processes_and_journal_change_nothing(tmp_path: Path, text: str) -> None:
    """By bounds, and one by one."""
    scorer = model_scorer(load(text))
    reached: list[Progress] = []
    path = tmp_path / "journal"

    def run(executor: Executor, **options: object) -> Optimum:
        exact = ExactScorer(scorer, searching=True)
        return optimum(exact, executor, path, cycles=6, **options)  # type: ignore[arg-type]

    first = run(Processes(1), progress=reached.append)
    lines = path.read_text().splitlines(keepends=True)
    assert reached[-1].decided <= first.size
    assert reached[-1].bound <= reached[0].bound
    path.write_text("".join(lines[:3]) + lines[3][:20])
    assert run(Processes(2), resume=True) == first
    assert path.read_text() == "".join(lines)
    with pytest.raises(SpaceError, match="exists"):
        run(Processes(1))
    path.write_text("".join(lines[:3]) + "[1\n")
    with pytest.raises(SpaceError, match="not a line"):
        run(Processes(1), resume=True)
    assert (first.precision > 0.0) is (text is SMALL)
    scorer = model_scorer(load(text), best=7)
    path.write_text("".join(lines))
    with pytest.raises(SpaceError, match="not the journal"):
        run(Processes(1), resume=True)


def test_a_journal_is_locked(tmp_path: Path) -> None:
    from spacedsl.search.exact.task_log import TaskLog

    with (
        TaskLog(tmp_path / "journal", {}, resume=False),
        pytest.raises(SpaceError, match="another search"),
    ):
        TaskLog(tmp_path / "journal", {}, resume=True)


@pytest.mark.parametrize("text", [SMALL, NARROW])
def test_a_stopped_search_states_its_gap(tmp_path: Path, text: str) -> None:
    exact = ExactScorer(model_scorer(load(text)), searching=True)
    path = tmp_path / "journal"

    def run(seconds: float = np.inf, journal: Path | None = path) -> Optimum:
        resume = journal is not None
        return optimum(exact, serial, journal, resume, seconds=seconds, cycles=6)

    whole = run(journal=None)
    gaps = []
    for _ in range(3):
        found = run(0.0)
        assert not found.complete
        assert found.open > 0
        assert accounted(found)
        assert found.bound >= whole.result.score
        gaps.append(found.bound)
    assert gaps == sorted(gaps, reverse=True)
    assert run() == whole


def test_a_narrow_hyperspace_is_scored_one_by_one() -> None:
    """Its spaces have few subnets, of which fewer keep the limit: a search missed the best."""
    scorer = model_scorer(load(NARROW), limits_ms=(0.8, 1.2), samples=40, best=5)
    wanted = all_scores(scorer)
    found = optimum(ExactScorer(scorer, searching=True), top=2, cycles=6)
    assert [r.result.score for r in found.best] == [score for score, _ in wanted[:2]]
    assert (found.enumerated, found.open, found.complete) == (found.size, 0, True)
    assert found.precision == 0.0


def test_ray_gives_the_same() -> None:
    ray = pytest.importorskip("ray")
    scorer = model_scorer(load(SMALL))
    try:
        found = optimum(ExactScorer(scorer, searching=True), Ray(jobs=1), cycles=6)
    finally:
        ray.shutdown()
    assert found == optimum(ExactScorer(scorer, searching=True), cycles=6)


def test_lookup() -> None:
    s = np.geomspace(1e-9, 1.0, 1000)
    found = Lookup(5000, 20)(s.astype(np.float32))
    assert found == pytest.approx(exact_share(s, 5000, 20), rel=3e-3, abs=1e-7)


def test_a_scorer_that_does_not_search_is_refused() -> None:
    with pytest.raises(ValueError, match="that search"):
        optimum(ExactScorer(model_scorer(load(SMALL))))


@pytest.mark.slow
def test_command(tmp_path: Path) -> None:
    page_file, out = tmp_path / "part.space", tmp_path / "best.space"
    page_file.write_text(write(part_of_onnxw(3, 1)))
    call = ["optimum", "--hyper", str(page_file), "--target", "vnni", "--jobs", "1"]
    call += ["--definition", "qt"]
    call += ["--format", "json", "--top", "2", "--journal", str(tmp_path / "journal")]
    runner = CliRunner()
    ended = runner.invoke(app, [*call, "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    data = json.loads(ended.stdout)
    assert data["complete"]
    assert data["bound"] == pytest.approx(data["score"] + data["error"])
    assert data["enumerated"] + sum(data["pruned"].values()) == data["spaces"]
    assert [space["score"] for space in data["top"]] == sorted(
        (space["score"] for space in data["top"]), reverse=True
    )
    assert space_identity(api.load_space(str(out))) == data["hash"]
    refused = runner.invoke(app, call)
    assert refused.exit_code == 2
    assert "exists" in refused.output


@pytest.mark.slow
def test_neighbours_are_scored_together(pairs: Pairs) -> None:
    """All of them, as one by one; a climb ends where none is better."""
    start = ((0, 0), (5, 1), (0, 2), (2, 2), (3, 1), (0, 0))
    found, scores = neighbours(pairs, start)
    blocks_windows = [12, *[24] * 5]
    assert len(set(found)) == len(found) == sum(blocks_windows) - 6
    assert all(sum(a != b for a, b in zip(f, start, strict=True)) == 1 for f in found)
    assert scores == pytest.approx(pairs.limits(found).sum(axis=1), rel=PRECISION / 2)
    assert Joint([pairs]).climbed(start, pairs.score(start)) == (start, pairs.score(start))
    low = pairs.halves.genome.at(0)
    top, score = Joint([pairs]).climbed(low, pairs.score(low))
    assert score == pairs.score(top) > 1.1 * pairs.score(low)
    assert (neighbours(pairs, top)[1] < score * (1 + PRECISION)).all()


@pytest.mark.parametrize("make", [model_scorer, rows_scorer])
def test_neighbours_of_either_scorer(make: object) -> None:
    scorer = make(load(SMALL), samples=2000, best=10)  # type: ignore[operator]
    pairs = Pairs(Halves(ExactScorer(scorer, searching=True)))
    found, scores = neighbours(pairs, pairs.halves.genome.at(3))
    assert scores == pytest.approx(pairs.limits(found).sum(axis=1), rel=1e-3)


@pytest.mark.parametrize("make", [model_scorer, rows_scorer])
def test_searches_score_halves(make: object, tmp_path: Path) -> None:
    """A score does not depend on what is scored beside it; what a search ends with scores so."""
    scorer = search_scorer(make(load(SMALL), samples=2000, best=10))  # type: ignore[operator]
    genome = Genome(scorer.hyper)
    genotypes = [genome.at(i) for i in range(genome.size)]
    together = list(scorer.limits(genome, genotypes))
    assert together == [x for g in genotypes for x in scorer.limits(genome, [g])]
    plain = ExactScorer(scorer.inner, searching=True)
    for genotype, limits in zip(genotypes, together, strict=True):
        space = genome.to_space(genotype, "any")
        wanted = plain.score(space)
        assert scorer.score(space).limits == limits
        assert [x.score for x in limits] == pytest.approx(
            [x.score for x in wanted.limits], rel=1e-3, abs=1e-4
        )
        assert all(
            abs(a.missing - b.missing) <= 1 for a, b in zip(limits, wanted.limits, strict=True)
        )
    options = {"population": 4, "sample": 2, "journal": tmp_path / "journal"}
    evolve(scorer.hyper, scorer, cycles=7, **options)  # type: ignore[arg-type]
    ended = evolve(scorer.hyper, scorer, cycles=11, resume=True, **options)  # type: ignore[arg-type]
    assert ended.replayed == 7
    assert scorer.score(ended.space).score == ended.score


def test_a_fixed_stage_in_between_is_searched_slowly() -> None:
    hyper = load(page(middle="between { mbv2 { kernel 3  expand 4 }  width 32  depth 1 }"))
    scorer = search_scorer(model_scorer(hyper))
    found = evolve(hyper, scorer, population=2, sample=1, cycles=3)
    assert scorer.score(found.space).score == found.score
    with pytest.raises(SpaceError, match="fixed stage between"):
        Halves(scorer)
