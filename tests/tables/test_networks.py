"""Latencies of measured networks as a table, and calibrations of tables of losses."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import subnet_sites
from spacedsl.search.protocols import Known
from spacedsl.tables.calibrate import (
    MOBILENETV2,
    PRIOR,
    Points,
    calibrations,
    fit,
)
from spacedsl.tables.files import load_latency, load_quality, load_table, save_table
from spacedsl.tables.fit_networks import latency_table
from spacedsl.tables.network_sums import network_losses
from spacedsl.tables.networks import Network, read_latencies
from spacedsl.targets.latency import model_latency
from tests.support import SHARED, library_model, library_space, needs_shared
from tests.tables.accuracy_rows import random_codes, write_csv
from tests.tables.table_rows import additive_ms, blockwise_ms

MNASNET = SHARED / "data" / "accuracies" / "mnasnet_imagenet.csv"


def whole_ms(subnet: Subnet) -> float:
    """A made-up device's latency of a network, stem and head included."""
    stem, *stages, head = subnet_sites(subnet)
    elastic = sum(blockwise_ms(site) for stage in stages for site in stage)
    return elastic + sum(additive_ms(site) for site in (*stem, *head))


def test_latencies_of_measured_networks_predict_others() -> None:
    space = library_space("tiny")
    networks = [Network(i, s, whole_ms(s)) for i, s in enumerate(api.sample(space, 700))]
    found = latency_table(networks, space, "made up", "", "")
    assert found.r2 > 0.97
    assert found.within_5 > 0.7
    assert found.table.source.device == "made up"
    assert found.table.latency is not None
    assert found.table.latency.resolutions == (24, 32)


def test_a_target_names_a_table_of_measured_networks(tmp_path: Path) -> None:
    space = library_space("benchmarks/mnasnet")
    codes = random_codes(200)
    rows = read_latencies(
        write_csv(tmp_path / "t.csv", ("code", "ms"), [(c, 1) for c in codes]), space, "ms"
    )
    cells = [(c, 1000 / whole_ms(n.subnet)) for c, n in zip(codes, rows, strict=True)]
    cells[3] = (codes[3], "")  # type: ignore[assignment]
    path = write_csv(tmp_path / "rows.csv", ("code", "x_img_s"), cells)
    out = tmp_path / "device.json"
    command = ["tables", "fit", "--latencies", str(path), "--hyper", "mnasnet", "--out", str(out)]
    assert CliRunner().invoke(app, command).exit_code == 2  # a device is a column
    result = CliRunner().invoke(app, [*command, "--column", "x_img_s", "--format", "json"])
    report = json.loads(result.stdout)
    assert report["rows"] == 199
    assert report["latency"]["r2"] > 0.97
    said = CliRunner().invoke(app, [*command, "--column", "x_img_s"]).stdout.splitlines()
    page = tmp_path / "device.space"
    assert said[-1] == f"next: spacedsl target show {page}"
    page.write_text(
        'language 1\n\ntarget t {\n  device "made up"\n  latency "device.json"\n  limits 5ms\n}\n'
    )
    model = rows[0].subnet
    shown = model_latency(model, load_latency(api.load_target(str(page)).latency))
    assert sum(part.ms for part in shown) == pytest.approx(whole_ms(model), rel=0.05)


def test_wrong_latencies_are_named(tmp_path: Path) -> None:
    space = library_space("benchmarks/mnasnet")
    path = write_csv(tmp_path / "rows.csv", ("code", "ms"), [(random_codes(1)[0], -1)])
    with pytest.raises(SpaceError, match=r"line 2: -1 is no latency in milliseconds"):
        read_latencies(path, space, "ms")


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("column", ["zcu102_ms", "a100_img_s"])
def test_published_latencies_are_additive(column: str) -> None:
    space = library_space("benchmarks/mnasnet")
    rows = read_latencies(MNASNET, space, column)[::4]
    found = latency_table(rows, space, column, "", "")
    assert found.r2 > 0.999
    assert found.within_5 > 0.97


def points(a: float, b: float, c: float, count: int, seed: int, sd: float = 0.0) -> Points:
    """Networks whose accuracies follow a calibration."""
    rng = np.random.default_rng(seed)
    loss = rng.uniform(2.0, 3.0, count)
    resolution = rng.choice([160.0, 192.0, 224.0], count)
    error = np.exp(a + b * np.log(loss) + c * np.log(224 / resolution) + rng.normal(0, sd, count))
    names = tuple(f"n{i}" for i in range(count))
    return Points(names, loss, resolution, 100 - error, np.ones(count), stages=6)


def test_a_calibration_recovers_what_made_the_accuracies() -> None:
    tables = [points(2.3, 0.8, 0.4, 200, 0, 0.01), points(2.2, 0.8, 0.4, 200, 1, 0.01)]
    found = fit(tables, 224)
    assert found.a == pytest.approx((2.3, 2.2), abs=0.03)
    assert found.b == pytest.approx(0.8, abs=0.03)
    assert found.c == pytest.approx(0.4, abs=0.02)
    assert found.residual_sd == pytest.approx(0.01, rel=0.15)
    first, second = calibrations(tables, None)
    assert first.left_out_sd == pytest.approx(0.01, rel=0.15)
    assert (first.b, first.c) == (second.b, second.c)


def test_few_points_leave_the_resolution_to_its_prior() -> None:
    """Networks of one resolution say nothing of it."""
    some = points(2.3, 0.8, 0.9, 6, 0, 0.02)
    one = Points(some.names, some.loss, np.full(6, 224.0), some.top1, some.weight, 6)
    assert fit([one], 224).c == pytest.approx(PRIOR[0], abs=1e-6)
    assert abs(fit([points(2.3, 0.8, 0.9, 6, 0, 0.05)], 224).c - 0.9) > 0.1


def test_the_prior_is_what_mobilenetv2_says() -> None:
    assert all(a > b for a, b in pairwise(MOBILENETV2.values()))
    near = [
        np.log((100 - lower) / (100 - upper)) / np.log(large / small)
        for (large, upper), (small, lower) in pairwise(MOBILENETV2.items())
        if small >= 160
    ]
    assert min(near) <= PRIOR[0] <= max(near)
    assert abs(np.mean(near) - PRIOR[0]) < PRIOR[1]


def test_losses_that_do_not_order_networks_are_no_calibration() -> None:
    wrong = points(2.3, -0.8, 0.3, 10, 0)
    with pytest.raises(SpaceError, match="does not fall as the loss rises"):
        calibrations([wrong], None)
    with pytest.raises(SpaceError, match="few-rows"):
        calibrations([points(2.3, 0.8, 0.3, 3, 0)], None)


@pytest.mark.parametrize("name", ["onnxw", "mobilew", "hyper"])
def test_shipped_tables_are_calibrated(name: str) -> None:
    table = load_table(name)
    assert table.calibration is not None
    assert table.calibration.r_max == 224
    assert len(table.calibration.models) == 8
    assert table.calibration.left_out < 0.6
    assert load_quality(name).valuation.unit == "top-1"
    assert table.calibration.known == Known(6, (74.7, 79.9), (160, 224))


@pytest.mark.parametrize(
    ("table", "model", "top1"),
    [
        ("onnxw", "seqnet-vnni-a1", 77.4),
        ("onnxw", "seqnet-vnni-a3", 79.5),
        ("hyper", "seqnet-vnni-a1", 77.4),
        ("mobilew", "seqnet-pixel4-a2", 78.3),
    ],
)
def test_published_networks_are_predicted(table: str, model: str, top1: float) -> None:
    network, quality = library_model(f"models/{model}"), load_quality(table)
    loss = network_losses([network], quality)
    value = quality.valuation.value(loss, network.resolution)
    sd = quality.valuation.sd(loss, network.resolution)
    assert sd is not None
    assert abs(value[0] - top1) < 0.6
    assert 0.2 < sd[0] < 1.0
    smaller = quality.valuation.value(loss, 160)
    assert smaller[0] < quality.valuation.value(loss, 224)[0]


def test_a_table_is_calibrated_by_command(tmp_path: Path) -> None:
    rows = [("seqnet-vnni-a0", 74.7), ("seqnet-vnni-a1", 77.4)]
    rows += [("seqnet-vnni-a2", 78.5), ("seqnet-vnni-a3", 79.5)]
    path = write_csv(tmp_path / "rows.csv", ("page", "top1"), rows)
    command = ["tables", "calibrate", "onnxw", "--accuracies", str(path)]
    assert CliRunner().invoke(app, command).exit_code == 2  # a shipped table stays as it is
    out = tmp_path / "mine.json"
    result = CliRunner().invoke(app, [*command, "--out", str(out), "--format", "json"])
    data = json.loads(result.stdout)["calibration"]
    said = CliRunner().invoke(app, [*command, "--out", str(out)]).stdout.splitlines()
    assert said[-1].startswith("next: spacedsl evolve --hyper onnxw ")
    assert f"--quality {out}" in said[-1]
    assert data["models"] == [name for name, _ in rows]
    assert data["known"] == {"stages": 6, "top1": [74.7, 79.5], "resolutions": [160, 224]}
    assert load_table(out).quality == load_table("onnxw").quality
    assert load_quality(str(out)).identity != load_quality("onnxw").identity
    verify = ["tables", "verify", "--accuracies", str(path), "--hyper", "onnxw"]
    report = CliRunner().invoke(app, [*verify, "--quality", str(out), "--format", "json"])
    assert json.loads(report.stdout)["accuracy"]["tau"] == 1.0


OTHER_STAGES = """language 1
use "std/blocks.space"
space four {
  input 3 x 160..224 step 32
  quality "onnxw"
  stem { conv 3x3 relu strided  width 16  stride 2 }
  stage0 { bottleneck { kernel 3  expand 0.5 }  width 16  depth 1 }
  elastic stage1 { mbv2 { kernel 3  expand 4 }  width 48  depth 2  stride 2 }
  elastic stage2 { mbv2 { kernel 3  expand 4 }  width 64  depth 2  stride 2 }
  elastic stage3 { mbv2 { kernel 3  expand 4 }  width 112, 128  depth 2  stride 2 }
  elastic stage4 { mbv2 { kernel 3  expand 4 }  width 160  depth 2  stride STRIDE }
  head { conv 1x1 -> 1280 hswish  pool  linear -> 1000 }
}
"""


def test_stages_that_a_table_does_not_know_are_said(tmp_path: Path) -> None:
    """Whether the file says how far its accuracies reach, or not: it has six stages."""
    page, old = tmp_path / "four.space", tmp_path / "old.json"
    table = load_table("onnxw")
    assert table.calibration is not None
    unsaid = table.calibration.model_copy(update={"known": None})
    save_table(table.model_copy(update={"calibration": unsaid}), old)
    assert load_quality(str(old)).identity == load_quality("onnxw").identity
    for stride, quality in (("1", "onnxw"), ("2", str(old))):
        page.write_text(OTHER_STAGES.replace("STRIDE", stride))
        command = ["score", str(page), "--target", "vnni", "--quality", quality, "--limits", "50ms"]
        ran = CliRunner().invoke(app, [*command, "--format", "json"])
        assert ran.exit_code == 0, ran.output
        assert "`four` has 4 elastic stages" in " ".join(ran.stderr.split())
        assert ("`stage4` of `four` has stride 2" in ran.stderr) == (stride == "2")
        for limit in json.loads(ran.stdout)["limits"]:
            assert limit["extrapolated"]
            assert limit["top1_sd"] is limit["top1_expected"] is None
    assert "* Extrapolated: accuracies are known of " in CliRunner().invoke(app, command).stdout
