"""Exact scores: against every subnet, against samples, and against finer grids."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.passes.bind import Site
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import compare, random_genotypes
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.enumerate import TooMany, row_atoms
from spacedsl.search.exact.expectation import ExactScore, exact_json
from spacedsl.search.exact.grid import COARSE, FINE, Detail, Extent, Grid
from spacedsl.search.exact.operators import model_operator, rows_operator
from spacedsl.search.exact.order import exact_share
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.protocols import Prediction
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stage_facts import stage_facts
from spacedsl.search.stream import Stream
from spacedsl.tables.files import load_latency, load_quality
from tests.search.fakes import FakeLatency, FakeQuality, load, model_scorer, page, rows_scorer, toy

SMALL = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }\n    mbv1-dual { kernel 3 }",
    stage1="width 16..64 step 16  window 2  depth 1..2  stride 2",
    stage2="width 32..64 step 16  window 2  depth 1, 2",
)
FIXED = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }",
    stage1="width 16..48 step 16  window 2  depth 1..2  stride 2",
    stage2="width 32..64 step 16  window 2  depth 1",
    middle="between { mbv2 { kernel 3  expand 4 }  width 32 }",
)
SHARED = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }",
    stage1="width 16..64 step 16  window 2  depth 1..2  stride 2  shared kernel",
    stage2="width 32..64 step 16  window 2  depth 1, 2  shared width",
)
LIMITS_MS = (8.0, 10.0, 15.0, 20.0, 25.0)


def spaces(hyper: Space, count: int, seed: int = 0) -> list[Space]:
    genome = Genome(hyper)
    drawn = random_genotypes(genome, count, Stream(seed))
    return [genome.to_space(g, f"random-{i}") for i, g in enumerate(drawn)]


def subnets(scorer: ModelScorer, space: Space) -> Iterator[tuple[float, float, float]]:
    """(latency in ms, loss, probability) of each subnet, by plain loops over the protocols."""
    chain = scorer.chain(space)
    stages = [stage_facts(space.stages[p]) for p in space.elastic]
    for r, fixed in enumerate(chain.total_ms):
        state = [(fixed, 0.0, 1.0 / len(chain.resolutions), 0)]
        for facts, place in zip(stages, chain.places, strict=True):
            losses = scorer.stage_loss(place.number, facts)
            tables = scorer.stage_tables(facts, place, losses)
            shared = {slot.name for slot in facts.slots if slot.shared}
            after = []
            for ms, loss, weight, last in state:
                cin = min(last, len(place.upstream.widths) - 1)  # one width after a fixed stage
                for d, depth in enumerate(facts.depths):
                    block = list(
                        itertools.product(range(len(facts.widths)), range(len(facts.combos)))
                    )
                    found = []
                    for chosen in itertools.product(block, repeat=depth):
                        if facts.shared_width and len({w for w, _ in chosen}) > 1:
                            continue
                        settings = [
                            tuple(v for n, v in facts.combos[k] if n in shared) for _, k in chosen
                        ]
                        if len(set(settings)) > 1:
                            continue
                        w, k = chosen[0]
                        t = tables.first_ms[cin, w, r, k]
                        u = tables.base[cin, r, d] + tables.first_loss[cin, w, r, d, 0, k]
                        for p, (wide, k) in enumerate(chosen[1:]):
                            t += tables.other_ms[w, wide, r, k]
                            u += tables.other_loss[w, wide, r, d, p, k]
                            w = wide
                        found.append((ms + t, loss + float(losses.link(u)), w))
                    each = weight / len(facts.depths) / len(found)
                    after += [(t, x, each, w) for t, x, w in found]
            state = after
        yield from ((t, x, p) for t, x, p, _ in state)


def brute(scorer: ModelScorer, space: Space) -> float:
    """The exact score from the definition: sums over order statistics of a discrete law."""
    n, m = scorer.settings.samples, scorer.settings.best
    ms, loss, weight = np.array(list(subnets(scorer, space))).T
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    total = 0.0
    for limit in scorer.limits_ms:
        there = np.flatnonzero(ms <= limit)
        order = there[np.argsort(loss[there])]
        reached, last = 0.0, 0.0
        for i in order:
            reached += weight[i]
            s = min(reached, 1.0)
            mean = sum(
                math.comb(n, k) * s**k * (1 - s) ** (n - k) * min(k, m) for k in range(n + 1)
            )
            total += (mean / m - last) / loss[i]
            last = mean / m
    return total


@pytest.mark.parametrize("text", [SMALL, SHARED, FIXED])
def test_small_spaces_equal_brute_force(text: str) -> None:
    hyper = load(text)
    scorer = model_scorer(hyper, samples=40, best=5)
    for space in spaces(hyper, 3):
        found = ExactScorer(scorer).score(space)
        assert found.method == "enumerated"
        assert found.score == pytest.approx(brute(scorer, space), abs=1e-9)


@pytest.mark.parametrize("text", [SMALL, SHARED, page()])
def test_transforms_equal_sums_over_atoms(text: str) -> None:
    hyper = load(text)
    scorer = model_scorer(hyper)
    exact = ExactScorer(scorer)
    grid = Grid((1.5, 3.0), Extent(0.5, 4.0, 1.5), Detail(7, 5, 40, 8, (9.0, 4.0)))
    for space in spaces(hyper, 2):
        chain = scorer.chain(space)
        for position, place in zip(space.elastic, chain.places, strict=True):
            facts = stage_facts(space.stages[position])
            losses = scorer.stage_loss(place.number, facts)
            tables = scorer.stage_tables(facts, place, losses)
            found = model_operator(facts, tables, losses, grid)
            for r, cin in itertools.product(range(2), range(len(place.upstream.widths))):
                for w, atoms in enumerate(
                    exact._stage_atoms((facts, place), r, len(place.upstream.widths))[cin]
                ):
                    left = np.exp(-np.outer(grid.s, atoms.ms)) * atoms.weight
                    wanted = left @ np.exp(-np.outer(atoms.loss, grid.q))
                    assert np.abs(found.transform[r, cin, w] - wanted).max() < 1e-6
                    assert found.least_loss[r, cin, w] == pytest.approx(atoms.loss.min())


def test_rows_are_averaged() -> None:
    grid = Grid((1.5, 3.0), Extent(0.5, 4.0, 1.5), Detail(7, 5, 40, 8, (9.0, 4.0)))
    ms, loss = np.array([0.5, 0.7, 1.1]), np.array([0.3, 0.2, 0.4])
    found = rows_operator([(ms, loss)], grid)
    atoms = row_atoms(ms, loss)
    wanted = (np.exp(-np.outer(grid.s, atoms.ms)) / 3) @ np.exp(-np.outer(atoms.loss, grid.q))
    assert np.allclose(found.transform[0, 0, 0], wanted, atol=1e-14)
    assert found.least_loss.item() == 0.2


def test_rows_scorer_enumerates_equally() -> None:
    hyper = toy()
    scorer = rows_scorer(hyper, samples=60, best=5)
    space = spaces(hyper, 1)[0]
    found = ExactScorer(scorer).score(space)
    mean = np.mean([scorer.reseeded(seed).score(space).score for seed in range(2000)])
    assert found.method == "enumerated"
    assert found.score == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize(("n", "m"), [(300, 5), (5000, 20), (7, 7), (5, 20), (1, 1)])
def test_share_of_the_best(n: int, m: int) -> None:
    s = np.array([0.0, 1e-12, 1e-7, 1e-4, 1e-3, 5e-3, 0.1, 0.5, 1.0])
    wanted = []
    for p in s:
        if p in (0.0, 1.0):
            wanted.append(min(n * p, m) / m)
            continue
        logs = [
            math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
            + k * math.log(p) + (n - k) * math.log1p(-p)
            for k in range(n + 1)
        ]  # fmt: skip
        wanted.append(sum(math.exp(x) * min(k, m) for k, x in enumerate(logs)) / m)
    assert exact_share(s, n, m) == pytest.approx(wanted, rel=1e-9, abs=1e-15)


@pytest.fixture(scope="module")
def onnxw() -> ModelScorer:
    hyper = api.load_space("onnxw")
    return ModelScorer(hyper, load_latency("onnxw"), load_quality("onnxw"), LIMITS_MS)


def test_the_error_bound_holds(onnxw: ModelScorer) -> None:
    finer = Detail(80, 64, 80, 480, (28.0, 18.0))
    for space in spaces(onnxw.hyper, 1):
        exact = ExactScorer(onnxw)
        found = exact.score(space)
        chain = exact.chain(space)
        stages = [
            (stage_facts(space.stages[p]), place)
            for p, place in zip(space.elastic, chain.places, strict=True)
        ]
        grid = Grid(LIMITS_MS, exact._extent(stages, chain), finer)
        better = sum(x.score for x in exact._transformed(stages, chain, grid, {}))
        assert found.error < 1e-4 * found.score
        assert abs(found.score - better) < found.error
        again = ExactScorer(onnxw).score(space)
        assert (again.score, again.error) == (found.score, found.error)


def test_searching_is_close(onnxw: ModelScorer) -> None:
    exact, searching = ExactScorer(onnxw), ExactScorer(onnxw, searching=True)
    for space in spaces(onnxw.hyper, 2, seed=5):
        assert searching.score(space).score == pytest.approx(exact.score(space).score, rel=2.5e-4)


def z_score(
    exact: ExactScorer, scorer: ModelScorer, space: Space, seeds: int, first: int = 0
) -> float:
    scores = [scorer.reseeded(first + s).score(space).score for s in range(seeds)]
    error = float(np.std(scores, ddof=1) / math.sqrt(seeds))
    return (float(np.mean(scores)) - exact.score(space).score) / error


@pytest.mark.slow
def test_agrees_with_the_sampler(onnxw: ModelScorer) -> None:
    """Of a toy hyperspace, 100 spaces, each with seeds of its own: spaces scored with one seed
    share their draws, so their errors would not be independent."""
    hyper = toy()
    scorer = model_scorer(hyper, samples=500, best=5)
    exact = ExactScorer(scorer)
    chosen = enumerate(spaces(hyper, 100))
    found = [z_score(exact, scorer, space, 16, 16 * i) for i, space in chosen]
    assert abs(np.mean(found)) < 0.2
    assert np.max(np.abs(found)) < 4.5
    assert abs(z_score(ExactScorer(onnxw), onnxw, spaces(onnxw.hyper, 1)[0], 30)) < 4.5


def test_the_sampler_converges(onnxw: ModelScorer) -> None:
    """With the share of the best held, the sampler's score comes closer to the exact one."""
    space = api.load_space("vnni")
    errors = []
    for scale in (1, 4, 16):
        sized = ModelScorer(
            onnxw.hyper, onnxw.latency, onnxw.quality, LIMITS_MS, 2500 * scale, 10 * scale
        )
        exact = ExactScorer(sized).score(space).score
        drawn = [sized.reseeded(s).score(space).score - exact for s in range(12)]
        errors.append(math.sqrt(np.mean(np.square(drawn))))
    assert errors[0] > errors[1] > errors[2]


def test_shifts_raise_losses(onnxw: ModelScorer) -> None:
    space = api.load_space("vnni")
    exact = ExactScorer(onnxw, searching=True)
    assert exact.score(space, {3: 0.1}).score < exact.score(space).score


@pytest.mark.parametrize("make", [model_scorer, rows_scorer])
def test_shifts_floor_losses_as_the_sampler_does(make: object) -> None:
    hyper = load(SMALL)
    scorer = make(hyper, samples=400, best=5)  # type: ignore[operator]
    space = spaces(hyper, 1)[0]
    exact = ExactScorer(scorer)
    least = [
        exact.least_loss((stage_facts(space.stages[p]), place))
        for p, place in zip(space.elastic, scorer.chain(space).places, strict=True)
    ]
    shifts = {1: -1.5 * least[0], 2: 0.5 * least[1], 3: -0.5 * least[2]}
    drawn = [scorer.reseeded(s).score(space, shifts).score for s in range(200)]
    found = exact.score(space, shifts).score
    spread = float(np.std(drawn, ddof=1)) / math.sqrt(len(drawn))
    assert abs(float(np.mean(drawn)) - found) < 4 * spread
    unfloored = exact.score(space, {2: shifts[2], 3: shifts[3]}).score
    assert found > unfloored
    chain = exact.chain(space)
    stages = [
        (stage_facts(space.stages[p]), place)
        for p, place in zip(space.elastic, chain.places, strict=True)
    ]
    grid = Grid(exact.limits_ms, exact._extent(stages, chain), FINE)
    transformed = sum(x.score for x in exact._transformed(stages, chain, grid, shifts))
    assert transformed == pytest.approx(found, rel=0.05)  # few atoms, so transforms are rough


@dataclass
class SlowHead(FakeLatency):
    """Every network takes so much longer."""

    more: float = 0.0

    def predict(self, sites: Sequence[Site]) -> Prediction:
        found = super().predict(sites)
        later = np.array([0.0 if site.cout else self.more for site in sites])
        return Prediction(found.ms + later, found.coverage)


@pytest.mark.filterwarnings("error")
def test_latencies_that_spread_little_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were beyond what a double holds, and the score was 0 with an error of 0."""
    monkeypatch.setattr("spacedsl.search.exact.scorer.ATOMS", 0)
    hyper = load(page())
    space = Genome(hyper).to_space(Genome(hyper).at(0), "narrow")

    def score(more: float) -> ExactScore:
        limits = (more + 2.0, more + 3.0)
        return ExactScorer(ModelScorer(hyper, SlowHead(more=more), FakeQuality(), limits)).score(
            space
        )

    wanted = score(0.0).score
    for more in (30.0, 100.0, 1000.0):
        found = score(more)
        assert abs(found.score - wanted) <= found.error + 1e-4
        assert found.error < 0.02 * wanted


def test_too_many_atoms_are_refused() -> None:
    atoms = row_atoms(np.arange(1.0, 5.0), np.arange(1.0, 5.0))
    with pytest.raises(TooMany):
        atoms.plus(atoms, 15)


def test_exact_needs_the_definition_qt() -> None:
    with pytest.raises(SpaceError, match="definition qt"):
        ExactScorer(model_scorer(toy(), definition="authors"))


def test_json_has_the_error() -> None:
    scorer = model_scorer(load(SMALL))
    data = exact_json(ExactScorer(scorer).score(spaces(load(SMALL), 1)[0]))
    assert data["exact"] is True
    assert data["error"] == 0.0
    assert "seed" not in data


def test_details_are_ordered() -> None:
    assert FINE.latency > COARSE.latency
    assert FINE.loss > COARSE.loss


@pytest.mark.slow
def test_command() -> None:
    runner = CliRunner()
    call = ["score", "vnni", "--target", "vnni", "--definition", "qt", "--exact"]
    first, second = (runner.invoke(app, [*call, "--format", "json"]) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    data = json.loads(first.stdout)
    assert data["error"] < 1e-4 * data["score"]
    text = runner.invoke(app, call)
    assert f"exact Q-T score {data['score']:.6f}" in text.stdout
    assert isinstance(ExactScore, type)
    for definition, why in (("authors", "of the definition qt"), ("best", "--exact belongs")):
        refused = runner.invoke(app, [*call, "--definition", definition])
        assert refused.exit_code == 2
        assert why in refused.stderr


def test_evolution_follows_no_noise(tmp_path: Path) -> None:
    """The search with exact scores resumes, compares and does not depend on the score's seed."""
    hyper = toy()
    found = [
        evolve(
            hyper,
            ExactScorer(model_scorer(hyper, seed=seed), searching=True),
            population=4,
            sample=2,
            cycles=12,
            journal=tmp_path / "journal",
            resume=bool(seed),
        )
        for seed in (0, 1)
    ]
    assert found[0].best == found[1].best
    assert found[1].replayed == 12
    closing = compare(ExactScorer(model_scorer(hyper), searching=True), found[0].space, random=2)
    assert closing.found.fresh_score == closing.found.result.score == found[0].score
