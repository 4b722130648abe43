"""The best subnets of a space under each limit, against all of its subnets."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.network import subnet_identity
from spacedsl.search.exact.best import Best, best_subnets
from spacedsl.search.exact.front import Front, layered
from spacedsl.search.protocols import Floats
from spacedsl.search.qt_score import ModelScorer
from spacedsl.text import Source
from tests.search_fakes import FakeLatency, FakeQuality, load, model_scorer, rows_scorer
from tests.test_exact_score import FIXED, SHARED, SMALL, spaces, subnets


def measured(scorer: ModelScorer, best: Best) -> tuple[float, float]:
    """Latency and loss of a subnet, block by block, from the models of the tests."""
    space, latency, quality = best.subnet.of, FakeLatency(), FakeQuality()
    chain = scorer.chain(space)
    ms = chain.total_ms[chain.resolutions.index(best.subnet.resolution)]
    loss = 0.0
    sites = subnet_sites(best.subnet)
    for number, position in enumerate(space.elastic, 1):
        blocks = sites[position]
        ms += sum(latency.ms(site) for site in blocks)
        model = quality.stage(number, blocks[0].choice)
        assert model is not None
        at = best.subnet.resolution, len(blocks)
        total: Floats = model.base(*at, np.array([blocks[0].cin]))
        for i, site in enumerate(blocks):
            named = {name: np.array([value]) for name, value in site.settings}
            total = total + model.terms(*at, i, np.array([site.cin]), np.array([site.cout]), named)
        loss += float(model.link(total)[0])
    return ms, loss


@cache
def every(text: str, seed: int) -> tuple[Space, Floats]:
    """A space, and latency and loss of all of its subnets (N, 2)."""
    space = spaces(load(text), 2)[seed]
    return space, np.array(list(subnets(model_scorer(load(text)), space)))[:, :2]


@pytest.mark.parametrize("text", [SMALL, SHARED, FIXED])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1),
    count=st.sampled_from([1, 3, 20]),
    limits=st.lists(st.sampled_from([0.3, 0.9, 1.2, 1.7, 2.2, 9.0]), min_size=1, unique=True),
)
def test_no_subnet_is_better(text: str, seed: int, count: int, limits: list[float]) -> None:
    space, members = every(text, seed)
    scorer = model_scorer(load(text), limits_ms=tuple(limits))
    for limit, found in best_subnets(scorer, space, count):
        wanted = np.sort(members[members[:, 0] <= limit, 1])[:count]
        assert [b.loss for b in found] == pytest.approx(wanted.tolist(), rel=1e-12)
        assert len({(b.subnet.resolution, b.subnet.stages) for b in found}) == len(found)
        for best in found:
            assert mismatch(space, best.subnet.of) is None
            assert best.latency_ms <= limit
            assert (best.latency_ms, best.loss) == pytest.approx(measured(scorer, best), rel=1e-12)


def test_layers_keep_what_few_beat() -> None:
    drawn = np.random.default_rng(0).integers(0, 12, (2, 80)).astype(float)
    found = Front(drawn[0], drawn[1], np.arange(80)[:, None])
    for layers in (1, 2, 5):
        kept = set(layered(found, layers).blocks[:, 0].tolist())
        beaten = [
            sum((drawn[0] <= ms) & (drawn[1] <= loss)) - 1 for ms, loss in zip(*drawn, strict=True)
        ]
        assert kept >= {i for i, count in enumerate(beaten) if count < layers}
        assert len(kept) < 80 or layers == 5


def test_rows_are_no_networks() -> None:
    with pytest.raises(SpaceError, match="do not chain"):
        best_subnets(rows_scorer(load(SMALL)), spaces(load(SMALL), 1)[0], 1)


def test_command() -> None:
    """The best of vnni: better than any that is drawn, and pages that read back."""
    call = ["score", "vnni", "--target", "vnni", "--exact", "--top", "2"]
    runner = CliRunner()
    ran = runner.invoke(app, [*call, "--format", "json"])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert [t["limit_ms"] for t in data["top"]] == [8, 10, 15, 20, 25]
    for top, limit in zip(data["top"], data["limits"], strict=True):
        first, second = top["models"]
        assert first["accuracy"] >= second["accuracy"] > limit["score"]
        assert first["latency_ms"] <= top["limit_ms"]
        model = Loader().parse(Source("m.space", first["page"]), Path()).get(first["name"])
        assert isinstance(model, Subnet)
        assert subnet_identity(model) == first["hash"]
        assert mismatch(api.load_space("vnni"), model.of) is None
    text = runner.invoke(app, call)
    assert "vnni-8ms-2: 1/loss" in text.stdout
    assert "model vnni-25ms-1 of vnni at" in text.stdout
    refused = runner.invoke(app, ["score", "vnni", "--target", "vnni", "--top", "1"])
    assert refused.exit_code == 2
    assert "--top needs --exact" in refused.stderr
