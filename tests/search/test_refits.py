"""How often a found space stays the best where its table is fitted to resampled data, and what to
expect of networks that were chosen among many predictions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.cli.refits import refits_lines
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.operators.size import Pair, as_number
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.refits import Refit, refits
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import Genome
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.protocols import Floats
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.files import load_quality, load_table, save_table
from spacedsl.tables.fit_accuracy import fit_accuracy
from spacedsl.tables.network_sums import network_values
from spacedsl.tables.networks import read_accuracies
from spacedsl.tables.statistics import optimism_of
from tests.search.fakes import FakeQuality
from tests.search.test_best import Percent, scorer_of
from tests.search.test_exact_score import SMALL
from tests.support import library_space
from tests.tables.accuracy_rows import accuracy_csv, random_codes, write_csv


@dataclass(frozen=True)
class Favour(Percent):
    """A refit by which small images are worth more, or less."""

    more: float = 0.0

    def value(self, loss: Floats, resolution: float | Pair) -> Floats:
        """As `Valuation.value`."""
        return super().value(loss, resolution) - self.more / as_number(resolution)


def best_of(scorer: object) -> tuple[float, set[str]]:
    """The greatest score of all spaces of a hyperspace, by trying each, and the spaces with it."""
    assert isinstance(scorer, BestScorer)
    genome = Genome(scorer.hyper)
    spaces = [genome.to_space(genome.at(i), "any") for i in range(genome.size)]
    scores = [scorer.score(space).score for space in spaces]
    most = max(scores)
    return most, {
        space_identity(s) for s, x in zip(spaces, scores, strict=True) if x >= most * (1 - 1e-12)
    }


def test_a_refit_says_what_a_search_by_it_finds() -> None:
    """Each is a search by a table of its own: the same scores and best spaces as without sharing
    anything, and the table itself is not changed by it."""
    models = tuple(FakeQuality(valuation=Favour(more=m)) for m in (0.0, 2000.0, -250.0))
    quality = FakeQuality(valuation=Percent(), again=models)
    text = SMALL
    scorer = scorer_of(text, quality, limits_ms=(1.0, 1.7), best=1)
    space = best_optimum(scorer).space
    before = scorer.score(space)
    found = refits(scorer, space, models, lambda s: best_optimum(s).space, network_values)
    assert scorer.score(space) == before
    assert found[0].kept
    assert found[0].optimism == pytest.approx(0.0, abs=1e-9)
    for refit, model in zip(found, models, strict=True):
        alone = scorer_of(text, model, limits_ms=(1.0, 1.7), best=1)
        most, spaces = best_of(alone)
        assert refit.score == pytest.approx(alone.score(space).score, rel=1e-12)
        assert refit.best == pytest.approx(most, rel=1e-12)
        assert refit.hash in spaces
        assert refit.kept == (refit.score >= most * (1 - 1e-9))


def test_refits_of_several_targets_are_those_of_the_one_table() -> None:
    models = tuple(FakeQuality(valuation=Favour(more=m)) for m in (0.0, 300.0))
    quality = FakeQuality(valuation=Percent(), again=models)
    a = scorer_of(SMALL, quality, limits_ms=(1.0,))
    b = scorer_of(SMALL, quality, limits_ms=(1.7, 2.2))
    both = CombinedScorer({"a": a, "b": b}, Combine.sum)
    space = best_optimum(both).space
    found = refits(both, space, models, lambda s: best_optimum(s).space, network_values)
    for refit, model in zip(found, models, strict=True):
        parts = [replace_quality(s, model).score(space).score for s in (a, b)]
        assert refit.score == pytest.approx(sum(parts), rel=1e-12)
        assert refit.best >= refit.score


def replace_quality(scorer: BestScorer, quality: FakeQuality) -> BestScorer:
    return scorer_of(SMALL, quality, limits_ms=scorer.limits_ms)


def test_units_of_targets_are_never_mixed() -> None:
    percent = scorer_of(SMALL, FakeQuality(valuation=Percent()), limits_ms=(1.0,))
    losses = scorer_of(SMALL, FakeQuality(), limits_ms=(1.0,))
    with pytest.raises(SpaceError, match="different units are never added: a in top-1, b in 1/los"):
        CombinedScorer({"a": percent, "b": losses}, Combine.sum)
    other = scorer_of(SMALL, FakeQuality(identity="other"), limits_ms=(1.0,))
    with pytest.raises(SpaceError, match="1/loss of different quality tables"):
        CombinedScorer({"a": losses, "b": other}, Combine.worst)


@pytest.mark.slow
def test_refits_of_accuracies_are_as_far_apart_as_tables_of_other_rows(tmp_path: Path) -> None:
    """The spread of predictions over refits is about that over tables of fresh networks."""
    space = library_space("benchmarks/mnasnet")

    def fitted(seed: int) -> FittedAccuracy:
        path = accuracy_csv(tmp_path / f"{seed}.csv", random_codes(150, seed), noise=0.5)
        return FittedAccuracy(fit_accuracy(read_accuracies(path, space), space))

    probes = api.sample(space, 60)
    first = fitted(0)
    again = np.array([network_values(probes, model) for model in first.refits()])
    fresh = np.array([network_values(probes, fitted(seed)) for seed in range(1, 5)])
    ratio = np.median(again.std(axis=0)) / np.median(fresh.std(axis=0))
    assert 0.5 < ratio < 2.0
    centre = network_values(probes, first)
    assert np.abs(again.mean(axis=0) - centre).mean() < np.median(again.std(axis=0))
    assert first.identity == FittedAccuracy(first.data.model_copy(update={"refits": ()})).identity


def test_shipped_tables_have_refits() -> None:
    for name in ("onnxw", "mobilew", "hyper", "mnasnet"):
        assert len(load_quality(name).refits()) == 50
    calibration = load_table("onnxw").calibration
    assert calibration is not None
    a, b, c = np.array(calibration.refits).T
    for values, centre in ((a, calibration.a), (b, calibration.b), (c, calibration.c)):
        assert abs(values.mean() - centre) < 0.5 * values.std()
    assert 0.03 < c.std() < 0.1  # the prior's, which eight networks hardly narrow


def test_optimism_is_what_those_predicted_best_lack() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(60, 1, 1000)
    predicted = truth + rng.normal(0, 1, 1000)
    best = np.argsort(-predicted)[:10]
    assert optimism_of(truth, predicted) == round(float((predicted - truth)[best].mean()), 4)
    assert optimism_of(truth, predicted) > 1
    assert optimism_of(truth, truth - 1) == 0


def test_more_is_not_called_less() -> None:
    """Networks that a fit chose may happen to be better by the table itself."""
    for optimism, said in ((0.05, "have 0.05 points less by"), (-0.05, "have 0.05 points more by")):
        assert said in refits_lines([Refit(1.0, 1.0, "", optimism)])[-1]


LATENCY = """language 1
target made {
  device "made-up"
  latency "ms.json"
  limits 3ms, 5ms
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quality table of accuracies, and a target of measured latencies."""
    path = tmp_path_factory.mktemp("refits")
    codes = random_codes(150)
    accuracy_csv(path / "rows.csv", codes, noise=1.0)
    words = {code: code.split("-") for code in codes}
    ms = [(c, 1 + sum(int(w[6]) * int(w[2]) / 10 for w in words[c])) for c in codes]
    write_csv(path / "ms.csv", ("code", "made_ms"), ms)
    hyper = ["--hyper", "mnasnet", "--out"]
    fit = ["tables", "fit"]
    run(*fit, "--accuracies", str(path / "rows.csv"), *hyper, str(path / "quality.json"))
    latencies = ["--latencies", str(path / "ms.csv"), "--column", "made_ms"]
    run(*fit, *latencies, *hyper, str(path / "ms.json"))
    (path / "made.space").write_text(LATENCY)
    return path


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == code, result.output
    return result.stdout if "json" in args else result.output


def options(folder: Path) -> list[str]:
    target, quality = folder / "made.space", folder / "quality.json"
    return ["--hyper", "mnasnet", "--target", str(target), "--quality", str(quality)]


@pytest.mark.slow
def test_searches_say_how_often_the_space_stays_the_best(folder: Path) -> None:
    said = run("evolve", *options(folder), "--refits", "3", "--out", str(folder / "found.space"))
    text = " ".join(said.split())  # lines end where the terminal does
    assert "of 3 fits of the quality table to resampled data, the found space stays" in text
    assert "without what a journal held of it; 3 more like it take " in text
    found = [
        json.loads(run(command, *options(folder), "--refits", "3", "--format", "json"))
        for command in ("evolve", "optimum")
    ]
    for data in found:
        assert data["refits"]["count"] == 3 == len(data["refits"]["each"])
        assert data["refits"]["kept"] == sum(r["kept"] for r in data["refits"]["each"])
        for each in data["refits"]["each"]:
            assert each["best"] >= each["score"]
    # all 128 spaces are scored by either, so they agree
    assert found[0]["refits"] == found[1]["refits"]


@pytest.mark.slow
def test_what_to_expect_is_everywhere(folder: Path) -> None:
    quality = load_table(folder / "quality.json").accuracy
    assert quality is not None
    assert quality.optimism > 0.05
    found = folder / "found.space"
    run("evolve", *options(folder), "--out", str(found))
    for command in (["score", str(found), *options(folder)[2:]], ["optimum", *options(folder)]):
        data = json.loads(run(*command, "--format", "json"))
        for limit in data["limits"]:
            assert limit["top1_expected"] == pytest.approx(limit["top1"] - quality.optimism)
        first = data["limits"][0]
        assert f"(expect {first['top1_expected']:.1f})" in run(*command)
    assert "networks that were chosen so" in run("evolve", *options(folder))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--refits", "51"], "the quality table has 50 refits"),
        (["--refits", "3", "--definition", "qt"], "--refits belongs to --definition best"),
    ],
)
@pytest.mark.parametrize("command", ["evolve", "optimum"])
def test_refits_that_there_are_not(folder: Path, command: str, args: list[str], said: str) -> None:
    assert said in run(command, *options(folder), *args, code=2)


def test_a_table_without_refits_says_which_commands_write_them(folder: Path) -> None:
    table = load_table("onnxw")
    bare = table.model_copy(update={"calibration": None})
    path = folder / "bare.json"
    save_table(bare, path)
    args = ["evolve", "--hyper", "onnxw", "--target", "vnni", "--quality", str(path)]
    text = run(*args, "--refits", "2", code=2)
    assert "has 0 refits" in text
    assert "tables calibrate" in text
