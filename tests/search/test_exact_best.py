"""Fronts of stages, and the best networks that `score --top` lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.passes.network import subnet_identity
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.exact.front import unbeaten, unbeaten_rows
from spacedsl.text import Source
from tests.search.fakes import load, page, rows_scorer


def test_layers_keep_what_few_beat() -> None:
    drawn = np.random.default_rng(0).integers(0, 12, (2, 80)).astype(float)
    for layers in (1, 2, 5):
        kept = set(unbeaten(drawn[0], drawn[1], layers).tolist())
        beaten = [
            sum((drawn[0] <= ms) & (drawn[1] <= loss)) - 1 for ms, loss in zip(*drawn, strict=True)
        ]
        assert kept >= {i for i, count in enumerate(beaten) if count < layers}
        assert len(kept) < 80 or layers > 1


def test_layers_leave_out_what_many_beat() -> None:
    drawn = np.random.default_rng(0).random((2, 4000))
    for layers in (2, 20):
        kept = unbeaten(drawn[0], drawn[1], layers)
        assert layers * 5 < len(kept) < 4000 / 5
        assert (np.diff(drawn[0, kept]) >= 0).all()


@pytest.mark.parametrize("layers", [1, 3])
def test_rows_are_looked_at_each_alone(layers: int) -> None:
    """With equal latencies and losses too."""
    for values in (12, 10_000):
        ms, loss = np.random.default_rng(1).integers(0, values, (2, 7, 90)).astype(float)
        row, at = unbeaten_rows(ms, loss, layers)
        for i in range(7):
            assert at[row == i].tolist() == unbeaten(ms[i], loss[i], layers).tolist()


def test_rows_are_no_networks() -> None:
    with pytest.raises(SpaceError, match="do not chain"):
        BestScorer(rows_scorer(load(page())))


@pytest.mark.slow
@pytest.mark.parametrize("definition", [(), ("--definition", "qt", "--exact")])
def test_command(definition: tuple[str, ...]) -> None:
    """The best of vnni: better than any that is drawn, and pages that read back."""
    call = ["score", "vnni", "--target", "vnni", *definition, "--top", "2"]
    runner = CliRunner()
    ran = runner.invoke(app, [*call, "--format", "json"])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert [t["limit_ms"] for t in data["top"]] == [8, 10, 15, 20, 25]
    for top, limit in zip(data["top"], data["limits"], strict=True):
        first, second = top["models"]
        assert first["value"] >= second["value"]
        least = limit["score"] if definition else limit["score"] * (1 - 1e-12)
        assert first["value"] > least
        assert first["latency_ms"] <= top["limit_ms"]
        model = Loader().parse(Source("m.space", first["page"]), Path()).get(first["name"])
        assert isinstance(model, Subnet)
        assert subnet_identity(model) == first["hash"]
        assert mismatch(api.load_space("vnni"), model.of) is None
    text = runner.invoke(app, call)
    assert "vnni-8ms-2: 78.26 ± " in text.stdout
    assert "model vnni-25ms of vnni at" in text.stdout
    refused = runner.invoke(app, [*call[:4], "--definition", "qt", "--top", "1"])
    assert refused.exit_code == 2
    assert "knows no best networks" in refused.stderr
