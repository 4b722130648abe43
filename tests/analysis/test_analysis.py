"""`analyze`: a made-up device, whose costs are known, and the devices that are tables."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis import contrast
from spacedsl import api
from spacedsl.analysis import analyse
from spacedsl.analysis.cases import AnalysisPart, cases_of
from spacedsl.analysis.measured import Pair, measure_part, opener
from spacedsl.hosts.host import HERE
from spacedsl.hosts.measure import CLOCKS, Run, by
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.kernels import Kernel, kernels
from spacedsl.targets.features import work_of
from tests.cli.test_commands import run, run_json

RATES = {"conv-bn-relu": (4e-9, 1e-8), "dwconv-bn-relu": (1e-7, 5e-8), "hswish": (4e-7, 1e-7)}
"""Kind -> ms per multiply-accumulate in INT8 and FP32: 2.5, 0.5 and 0.25 times as fast."""

LIKE_THE_REST = (1e-8, 2e-8)
INT8_ONLY, FREE = "add", ("maxpool", "sigmoid")
NOISE = 0.01


class MadeUp:
    """A device whose clock goes as far as a network takes; `noise`: relative, of single runs."""

    def __init__(self, noise: float = NOISE) -> None:
        self.now, self.noise = 0.0, noise
        self.rng = np.random.default_rng(0)

    def clock(self) -> float:
        return self.now

    def open(self, subnet: Subnet) -> Pair:
        sites = [site for stage in subnet_sites(subnet) for site in stage]
        found = [k for site in sites for k in kernels(layers(site.bind()))]
        return self.takes(found, 0), self.takes(found, 1)

    def takes(self, found: list[Kernel], precision: int) -> Run:
        ms = sum(self.cost_ms(kernel, precision) for kernel in found)

        def once() -> None:
            self.now += ms * 1e-3 * (1 + self.noise * abs(self.rng.standard_normal()))

        return once

    def cost_ms(self, kernel: Kernel, precision: int) -> float:
        if kernel.kind in FREE or (kernel.kind == INT8_ONLY and precision):
            return 0.0
        return RATES.get(kernel.kind, LIKE_THE_REST)[precision] * work_of(kernel)[0]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """The machine at hand is the made-up one."""
    made = MadeUp()
    monkeypatch.setitem(CLOCKS, "cpu", made.clock)
    monkeypatch.setattr(analyse, "opener", lambda target, host: made.open)
    return made


@pytest.mark.slow
def test_the_figures_are_those_of_the_device(device: MadeUp, tmp_path: Path) -> None:
    out = tmp_path / "analysis"
    found = run_json("analyze", "--target", "cpu", "--budget", "20s", "--out", str(out))
    rows = {(r["name"], r["channels"]): r for r in found["parts"]["operators"]}
    for name, gain in (("conv 3x3", 2.5), ("dwconv 5x5", 0.5), ("hswish", 0.25)):
        for channels in (32, 96, 192):
            row = rows[name, channels]
            assert row["speedup"] == pytest.approx(gain, rel=0.15)
            assert row["speedup_low"] < row["speedup"] < row["speedup_high"]
    own = rows["conv 3x3", 96]
    assert own["int8_ms"] == pytest.approx(own["mmacs"] * 4e-3, rel=0.1)
    assert rows["add", 96]["status"] == "fp32-free"
    assert rows["maxpool 3x3", 96]["status"] == rows["relu", 96]["status"] == "free"
    assert rows["maxpool 3x3", 96]["speedup"] is None
    said = {t["name"]: t["verdict"] for t in found["tastes"] if t["part"] == "operators"}
    assert said["dwconv 3x3"] == said["hswish"] == said["add"] == "dislikes"
    assert said["maxpool 3x3"] == said["relu"] == "likes"
    assert {r["name"] for r in found["parts"]["models"]} >= {"seqnet-vnni-a4", "resnet-50"}
    files = {path.name for path in out.iterdir()}
    tables = {f"{part}.csv" for part in AnalysisPart}
    assert files >= {"report.txt", "machine.json", "tastes.csv", *tables}
    with (out / "blocks.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(found["parts"]["blocks"]) == 28
    assert float(table[0]["speedup"]) == found["parts"]["blocks"][0]["speedup"]
    machine = json.loads((out / "machine.json").read_text())
    assert machine["machine"]["cpu"]
    assert machine["rounds"]["operators"] >= 10
    assert "cpu dislikes" in (out / "report.txt").read_text()


def test_a_figure_that_is_not_known_is_marked() -> None:
    noisy = MadeUp(noise=0.5)
    cases = [
        c for c in cases_of(AnalysisPart.operators) if c.name in ("hswish", "se") and c.size == 14
    ]
    seen: list[float] = []
    take = by(noisy.clock)
    found = measure_part(cases, noisy.open, take, 0.2, lambda part, share: seen.append(share))
    assert {row.status for row in found.rows} == {"noisy"}
    assert seen[-1] == 1.0


def test_the_block_types_are_those_of_the_papers_hyperspace() -> None:
    hyper = api.load_space("hyper")
    asked = {c.block.name for c in hyper.stages[hyper.elastic[0]].choices}
    assert {case.name for case in cases_of(AnalysisPart.blocks)} == asked
    assert len(asked) == 7


def test_devices_contradict_where_one_gains_and_the_other_loses(tmp_path: Path) -> None:
    head = "part,name,verdict,gain,low,high,why,reference\n"
    rows = {
        "a": (
            "swish,,0.8,0.7,0.9,,1.2",
            "conv,,2,1.9,2.1,,1.2",
            "relu,,,,,,1.2",
            "se,,1,.5,2,,1.2",
        ),
        "b": (
            "swish,,3,2.8,3.2,,1.5",
            "conv,,2,1.9,2.1,,1.5",
            "relu,,,,,,1.5",
            "se,,2,1.9,2.1,,1.5",
        ),
    }
    for name, lines in rows.items():
        (tmp_path / name).mkdir()
        table = head + "".join(f"operators,{line}\n" for line in lines)
        (tmp_path / name / "tastes.csv").write_text(table)
    found = list(csv.DictReader(contrast(tmp_path / "a", tmp_path / "b").splitlines()))
    assert {r["name"]: r["verdict"] for r in found} == {"swish": "contradict", "conv": "", "se": ""}
    assert [r["name"] for r in found] == ["conv", "se", "swish"]
    assert found[0]["ratio"] == "1.25"


@pytest.mark.parametrize("name", ["cpu", "litert", "openvino"])
def test_networks_run_in_both_precisions(name: str) -> None:
    opened = opener(api.load_target(name), HERE)
    for case in cases_of(AnalysisPart.operators)[-2:]:
        for once in opened(case.subnet):
            once()


@pytest.mark.parametrize("name", ["vnni", "pixel4"])
def test_a_table_answers_for_block_types_and_nothing_else(name: str, tmp_path: Path) -> None:
    found = run_json("analyze", "--target", name, "--out", str(tmp_path))
    assert list(found["parts"]) == ["blocks"]
    assert found["unanswered"] == ["operators", "channels", "models"]
    for row in found["parts"]["blocks"]:
        assert row["int8_ms"] > 0
        assert row["fp32_ms"] is row["speedup"] is None
        assert row["coverage"] in ("measured", "interpolated", "estimated")
    said = {t["name"]: t["verdict"] for t in found["tastes"]}
    assert said["mbv3"] == "dislikes"
    assert said["bottleneck"] == "likes"
    assert (tmp_path / "blocks.csv").is_file()
    refused = run("analyze", "--target", name, "--part", "models")
    assert refused.exit_code == 2
    assert "error[wrong-kind]" in refused.stderr
    assert "only its block types are known" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra `plot` is not installed"
)
def test_pictures_are_drawn(device: MadeUp, tmp_path: Path) -> None:
    options = ("--budget", "1s", "--out", str(tmp_path))
    assert run("analyze", "--target", "cpu", *options).exit_code == 0
    for part in AnalysisPart:
        data = (tmp_path / f"{part.value}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) < 100_000


def test_budgets_and_parts_that_make_no_sense(tmp_path: Path) -> None:
    asked: dict[str, tuple[str, ...]] = {
        "is no time to measure": ("--budget", "soon"),
        "Not a directory": ("--out", str(tmp_path / "file" / "folder")),
    }
    (tmp_path / "file").write_text("")
    for message, words in asked.items():
        result = run("analyze", "--target", "vnni", *words)
        assert result.exit_code == 2
        assert message in result.stderr
