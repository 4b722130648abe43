"""Searches for several targets at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl.cli.app import app
from spacedsl.lang.write import write
from spacedsl.search.candidate import Genome
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScore, CombinedScorer, combined, pareto
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.detail import TRUSTED
from spacedsl.search.exact.optimum import optimum
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.exact.searching import search_scorer
from tests.search.fakes import load, model_scorer, page, toy
from tests.search.test_exact_optimum import part_of_onnxw

VNNI, PIXEL4 = (("--target", name) for name in ("vnni", "pixel4"))


def several(combine: Combine) -> CombinedScorer:
    parts = {"a": model_scorer(toy()), "b": model_scorer(toy(), limits_ms=(0.9, 1.2))}
    return CombinedScorer(parts, combine)


@pytest.mark.parametrize("combine", Combine)
def test_a_search_for_two_targets(combine: Combine, tmp_path: Path) -> None:
    """The journal's scores are the targets' together, and it resumes."""
    scorer, path = several(combine), tmp_path / "journal"
    options = {"population": 8, "sample": 4, "journal": path}
    evolve(toy(), scorer, cycles=12, **options)  # type: ignore[arg-type]
    found = evolve(toy(), scorer, cycles=20, resume=True, **options)  # type: ignore[arg-type]
    assert found.replayed == 12
    genome = Genome(toy())
    for record in found.history:
        result = scorer.score(genome.to_space(record.genotype, "any"))
        each = [part.score for _, part in result.parts]
        wanted = sum(each) if combine is Combine.sum else min(each)
        assert result.score == record.score == pytest.approx(wanted, rel=1e-15)
        assert result.limits == record.limits
        assert scorer.by_target(record.limits) == tuple(each)
    assert found.score == max(r.score for r in found.history)
    header = json.loads(path.read_text().splitlines()[0])
    assert header["combine"] == combine.value
    assert set(header["targets"]) == {"a", "b"}


def test_exact_scores_of_two_targets() -> None:
    hyper = load(page(blocks="\n    mbv2 { kernel 3, 5  expand 4 }"))
    parts = {
        name: search_scorer(model_scorer(hyper, limits_ms=limits))
        for name, limits in (("a", (1.2, 2.4)), ("b", (1.5,)))
    }
    scorer = CombinedScorer(parts, Combine.worst)
    found = evolve(hyper, scorer, population=4, sample=2, cycles=8)
    assert scorer.score(found.space).score == found.score


def test_pareto_is_what_nothing_beats() -> None:
    drawn = np.random.default_rng(0).integers(0, 9, (60, 3)).tolist()
    points = [(tuple(map(float, p)), i) for i, p in enumerate(drawn)]
    front = pareto(points)
    for scores, _ in points:
        beaten = any(
            other != scores and all(a >= b for a, b in zip(other, scores, strict=True))
            for other, _ in points
        )
        assert (scores in [s for s, _ in front]) is not beaten
    assert len({s for s, _ in front}) == len(front)
    assert combined([3.0, 1.0, 2.0], Combine.worst) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("definition", ["best", "qt"])
def test_score_command(definition: str) -> None:
    runner = CliRunner()
    call = ["score", "vnni", "--definition", definition, "--format", "json"]
    alone = [json.loads(runner.invoke(app, [*call, *t]).stdout) for t in (VNNI, PIXEL4)]
    for combine, wanted in (("sum", sum), ("worst", min)):
        ran = runner.invoke(app, [*call, *VNNI, *PIXEL4, "--combine", combine])
        assert ran.exit_code == 0, ran.output
        data = json.loads(ran.stdout)
        assert data["score"] == pytest.approx(wanted([a["score"] for a in alone]), rel=1e-15)
        assert data["combine"] == combine
        for part, single in zip(data["targets"], alone, strict=True):
            assert part == {
                k: v
                for k, v in single.items()
                if k not in ("version", "space", "hash", "diagnostics")
            }
    text = runner.invoke(app, [*call[:-2], *VNNI, *PIXEL4]).stdout
    assert "sum of 2 targets: " in text
    for options, why in (
        ((*VNNI, *VNNI), "named twice"),
        ((*VNNI, *PIXEL4, "--limits", "8ms"), "several targets"),
    ):
        refused = runner.invoke(app, [*call, *options])
        assert refused.exit_code == 2
        assert why in json.loads(refused.stdout)["diagnostics"][0]["message"]


@pytest.mark.parametrize("combine", Combine)
def test_the_optimum_of_two_targets(combine: Combine) -> None:
    """Against scoring every space one by one; some are pruned."""
    found, wanted = _optimum(FEW, ((1.5, 2.0, 3.0), (1.2, 2.4)), combine)
    assert found.complete == (found.precision <= TRUSTED)
    assert found.enumerated + sum(found.pruned.values()) == found.size
    assert any(found.pruned.values())
    assert found.result.score == pytest.approx(wanted, rel=1e-9)
    assert isinstance(found.result, CombinedScore)
    assert found.result.score <= found.bound <= wanted + found.best[0].error


FEW = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16, 32  window 1  depth 1..2  stride 2",
    stage2="width 32, 48  window 1  depth 1, 2",
)


def _optimum(text: str, limits: Sequence[tuple[float, ...]], combine: Combine) -> tuple[Any, float]:
    """The optimum of a page, and the best score of any of its spaces."""
    scorers = {
        str(i): model_scorer(load(text), limits_ms=ms, samples=2000, best=10)
        for i, ms in enumerate(limits)
    }
    genome = Genome(load(text))
    full = CombinedScorer({n: ExactScorer(s) for n, s in scorers.items()}, combine)
    spaces = [genome.to_space(genome.at(i), "any") for i in range(genome.size)]
    wanted = max(full.score(space).score for space in spaces)
    searching = {n: ExactScorer(s, searching=True) for n, s in scorers.items()}
    return optimum(CombinedScorer(searching, combine), cycles=6, exhaustive=0), wanted


@pytest.mark.slow
@pytest.mark.parametrize("definition", ["best", "qt"])
def test_optimum_command(definition: str, tmp_path: Path) -> None:
    """Two targets in one certificate, and both on the page."""
    part, out = tmp_path / "part.space", tmp_path / "both.space"
    part.write_text(write(part_of_onnxw(3, 1)))
    call = ["optimum", "--hyper", str(part), "--combine", "worst", "--jobs", "1"]
    call += ["--definition", definition, "--out", str(out), "--format", "json"]
    ran = CliRunner().invoke(app, [*call, *VNNI, *PIXEL4])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert data["complete"]
    assert data["combine"] == "worst"
    assert [t["target"] for t in data["targets"]] == ["vnni", "pixel4"]
    assert data["score"] == min(t["score"] for t in data["targets"])
    assert "vnni and pixel4" in out.read_text()


@pytest.mark.slow
def test_evolve_command(tmp_path: Path) -> None:
    """The front is of what was scored, and the page says both targets."""
    out = tmp_path / "both.space"
    call = ["evolve", "--hyper", "hyper", *VNNI, *PIXEL4, "--out", str(out)]
    call += ["--definition", "qt", "--samples", "200"]
    few = ["--population", "10", "--sample", "4", "--cycles", "20", "--format", "json"]
    ran = CliRunner().invoke(app, [*call, *few])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert data["combine"] == "sum"
    assert data["score"] == pytest.approx(sum(t["score"] for t in data["targets"]))
    scores = [tuple(entry["scores"].values()) for entry in data["pareto"]]
    assert not any(
        a != b and all(x >= y for x, y in zip(a, b, strict=True))
        for a, b in product(scores, scores)
    )
    assert max(map(sum, scores)) == pytest.approx(data["score"])
    assert "sum of 2 targets' scores" in out.read_text()
