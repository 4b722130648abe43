"""Hyperspaces as large as people write them: what is too large is said before the work, and time
limits hold while a search prepares."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.large import LIMITS_MS, hyperspace, made_up, page, scorer_of
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.best.size import needs as best_needs
from spacedsl.search.exact.optimum import optimum
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.exact.size import MOST_BYTES, needs, require_room
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.tables.files import fitted_models
from tests.support import library_page

RUNNER = CliRunner()


def test_show_and_diff_take_seconds_of_processor_time(tmp_path: Path) -> None:
    """Half a minute before blocks were bound together; the bound leaves room for a busy machine."""
    one, other = tmp_path / "one.space", tmp_path / "other.space"
    one.write_text(page(8))
    other.write_text(page(8).replace("mbv2-plain { kernel 3, 5", "mbv2-plain { kernel 3"))
    began = time.process_time()
    assert RUNNER.invoke(app, ["show", str(one)]).exit_code == 0
    shown = time.process_time()
    assert RUNNER.invoke(app, ["diff", str(one), str(other)]).exit_code in (0, 1)
    assert shown - began < 3
    assert time.process_time() - shown < 4


def test_library_hyperspaces_have_room() -> None:
    for name in ("onnxw", "mobilew", "hyper"):
        hyper = library_page(name).get(name)
        assert isinstance(hyper, Space)
        require_room(hyper, paired=True)
        assert 0 < needs(hyper).seconds < 60


def test_what_is_too_large_is_said_beforehand(tmp_path: Path) -> None:
    hyper = hyperspace(8)
    require_room(hyper, paired=False)
    assert needs(hyper).prepared < MOST_BYTES < needs(hyper).paired
    path = tmp_path / "large.space"
    path.write_text(page(8))
    command = ["optimum", "--hyper", str(path), "--target", "vnni", "--definition", "qt"]
    began = time.process_time()
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 2
    assert "would take about" in result.output
    assert time.process_time() - began < 10
    models = fitted_models(made_up(hyperspace(1)))
    by_best = best_needs(ModelScorer(hyper, *models, LIMITS_MS, definition="best"))
    assert 20 < by_best.seconds < 100
    assert 0.5e9 < by_best.memory < 1.5e9
    assert str(by_best + by_best).startswith(f"about {2 * by_best.seconds:,.0f} s of a core and ")
    several = best_needs(ModelScorer(hyper, *models, LIMITS_MS, best=20, definition="best"))
    assert several.seconds == by_best.seconds
    assert several.memory > by_best.memory
    scorer = ModelScorer(hyper, *models, LIMITS_MS)
    with pytest.raises(SpaceError, match="would take about"):
        optimum(ExactScorer(scorer, searching=True))


def test_time_limits_hold_while_a_search_prepares() -> None:
    """One space is scored; the rest stays open, and the gap is a bound."""
    hyper = hyperspace(2)
    scorer = BestScorer(scorer_of(hyper))
    found = best_optimum(scorer, seconds=0.0)
    assert not found.complete
    assert (found.enumerated, found.open) == (1, found.size - 1)
    assert len(scorer.engine.line._kept) < 10  # of 280 genes
    genome = scorer.engine.line.genome
    some = [genome.at(i) for i in range(0, genome.size, genome.size // 5)]
    most = max(scorer.total(limits) for limits in scorer.limits(genome, some))
    assert max(most, found.result.score) <= found.bound
