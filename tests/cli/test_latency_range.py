"""Least and greatest latency of a space, and `diff` with what follows from two pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from spacedsl.cli.app import app
from spacedsl.ir.space import Space
from spacedsl.operators.size import pair
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.cost import site_cost
from spacedsl.search.protocols import Coverage, Prediction
from spacedsl.targets.ranges import latency_range
from tests.laws.strategies import hyperspaces
from tests.laws.test_cost_range import all_subnets
from tests.support import library_model


class Table:
    """Latencies that rise neither with width nor with size; blocks of one width may be unknown."""

    resolutions: tuple[int, ...] = ()
    identity = ""
    fastest_ms = 0.0

    def __init__(self, unknown: int = 0) -> None:
        self.unknown = unknown

    def predict(self, sites: Sequence[Site]) -> Prediction:
        ms = [1 + (site_cost(site).params * 7 + pair(site.size)[0]) % 101 for site in sites]
        lacking = [s.cin == self.unknown for s in sites]
        coverage = np.where(lacking, Coverage.UNCOVERED, Coverage.INTERPOLATED).astype(np.uint8)
        return Prediction(np.where(lacking, np.nan, ms), coverage)


@settings(max_examples=40)
@given(hyperspaces(elastic=2, most=2))
def test_the_range_is_attained_and_never_left(space: Space) -> None:
    subnets = all_subnets(space, most=400)
    if subnets is None:
        return
    table = Table()
    sites = [[s for stage in subnet_sites(n) for s in stage] for n in subnets]
    totals = [float(table.predict(found).ms.sum()) for found in sites]
    found = latency_range(space, table)
    assert (found.least_ms, found.greatest_ms) == (min(totals), max(totals))
    assert found.coverage == Coverage.INTERPOLATED
    for width in (3, 16, 20):
        lacking = any(s.cin == width for found in sites for s in found)
        known = latency_range(space, Table(width))
        assert (known.least_ms is None) == lacking
        assert bool(known.missing) >= lacking
        assert known.coverage == (Coverage.UNCOVERED if lacking else Coverage.INTERPOLATED)


def test_a_network_has_one_latency() -> None:
    found = latency_range(library_model("models/tiny-a0"), Table())
    assert found.least_ms == found.greatest_ms


def latencies(*asked: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["diff", *asked, "--format", "json"])
    assert result.exit_code == 1, result.stdout
    found = json.loads(result.stdout)["effects"]["latency"]
    assert isinstance(found, list)
    return found


def test_spaces_of_a_published_hyperspace_have_latencies_on_its_target() -> None:
    (latency,) = latencies("vnni", "vnni-large")
    assert latency["target"] == "vnni"
    assert latency["a"]["min_ms"] < latency["b"]["min_ms"] < latency["b"]["max_ms"]
    assert latency["a"]["coverage"] == "estimated"
    shown = json.loads(
        CliRunner()
        .invoke(app, ["show", "seqnet-vnni-a0", "--target", "vnni", "--format", "json"])
        .stdout
    )
    (latency,) = latencies("seqnet-vnni-a0", "seqnet-vnni-a1")
    assert latency["a"]["min_ms"] == pytest.approx(shown["latency"]["total_ms"])


def test_what_no_table_covers_is_said() -> None:
    assert latencies("mobilenetv3", "proxylessnas") == []
    (latency,) = latencies("mobilenetv3", "vnni", "--target", "vnni")
    assert latency["a"]["min_ms"] is None
    assert latency["a"]["missing_count"] > len(latency["a"]["missing"]) == 20
    assert latency["b"]["min_ms"] > 0
    text = CliRunner().invoke(app, ["diff", "mobilenetv3", "vnni", "--target", "vnni"]).stdout
    assert "latency  not covered (399 blocks, e.g. mbv2-plain 16->24 kernel 7 expand 3" in text
