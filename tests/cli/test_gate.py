"""`check --target T --max-latency L`: pages keep a latency, or CI stops. Nothing is measured."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.search.best.scorer import BestScorer
from spacedsl.targets.device import open_device
from spacedsl.targets.latency import model_latency
from spacedsl.targets.open_scorer import Request, open_scorer
from tests.cli.test_commands import run, run_json
from tests.support import SPACES
from tests.targets.test_profile import PAGE

MODEL = str(SPACES / "models" / "seqnet-vnni-a0.space")
SPACE = str(SPACES / "vnni.space")
GATE = ("--target", "vnni", "--max-latency")


def latency_of(subnet: Subnet) -> float:
    latency = open_device(api.load_target("vnni")).latency
    return sum(part.ms for part in model_latency(subnet, latency))


def ms_of(page: str, *more: str, code: int) -> float:
    found = run_json("check", page, *GATE, *more, code=code)
    (item,) = found["files"][0]["items"]
    assert item["latency"]["ok"] == (code == 0)
    assert [d["code"] for d in found["diagnostics"]] == ["too-slow"] * code
    return float(item["latency"]["latency_ms"])


def test_a_model_keeps_a_latency_or_the_exit_code_is_1() -> None:
    item = api.load(MODEL)
    assert isinstance(item, Subnet)
    ms = latency_of(item)
    for most, code in ((ms * 1.01, 0), (ms * 0.99, 1)):
        assert ms_of(MODEL, f"{most:.4f}ms", code=code) == pytest.approx(ms)
    result = run("check", MODEL, *GATE, "1ms")
    assert result.exit_code == 1
    assert "too slow (model seqnet-vnni-a0)" in result.stdout
    assert f"{MODEL}:" in result.stderr
    assert "error[too-slow]" in result.stderr


@pytest.mark.slow
def test_of_a_space_the_slowest_the_fastest_or_the_best_network_counts() -> None:
    space = api.load_space(SPACE)
    shown = run_json("show", SPACE, "--target", "vnni")["latency"]
    assert shown["target"] == "vnni"
    assert ms_of(SPACE, "10ms", code=1) == shown["max_ms"]
    assert ms_of(SPACE, "10ms", "--of", "fastest", code=0) == shown["min_ms"]
    best = ms_of(SPACE, "10ms", "--of", "best", code=1)
    assert shown["min_ms"] < best < shown["max_ms"]
    assert best == pytest.approx(latency_of(least_loss(space)))
    rng = random.Random(0)
    for _ in range(20):
        ms = latency_of(random_subnet(space, rng))
        assert shown["min_ms"] <= ms <= shown["max_ms"]
    assert "ms on vnni (estimated)" in run("show", SPACE, "--target", "vnni").stdout


def least_loss(space: Space) -> Subnet:
    request = Request(limits_ms=(1000.0,), definition="best")
    ((found,),) = BestScorer(open_scorer(space, api.load_target("vnni"), request)).top(space, 1)
    return found.subnet


def test_findings_have_a_place_for_sarif_and_github() -> None:
    result = run("check", SPACE, *GATE, "10ms", "--format", "github")
    assert result.exit_code == 1
    assert "::error" in result.stdout
    assert "title=too-slow" in result.stdout
    assert "file=" in result.stdout
    result = run("check", SPACE, *GATE, "10ms", "--format", "sarif")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["runs"][0]["results"]
    assert found["ruleId"] == "too-slow"


def test_nothing_is_ever_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here.space").write_text(PAGE)
    here = ("--target", str(tmp_path / "here.space"), "--max-latency", "15ms")
    for words in (("check", MODEL, *here), ("show", MODEL, *here[:2]), ("show", "tiny", *here[:2])):
        result = run(*words)
        assert result.exit_code == 2
        assert "error[no-profile]" in result.stderr
    assert not (tmp_path / "cache").exists()


def test_options_that_make_no_sense() -> None:
    for words, code in (
        (("--target", "vnni"), "missing-option"),
        (("--max-latency", "15ms"), "missing-option"),
        ((*GATE, "8,10ms"), "bad-limits"),
        ((*GATE, "soon"), "bad-limits"),
        (("--target", "toaster", "--max-latency", "1ms"), "unknown-target"),
    ):
        result = run("check", MODEL, *words)
        assert result.exit_code == 2, words
        assert f"error[{code}]" in result.stderr, result.stderr


def test_a_page_with_errors_is_not_timed(tmp_path: Path) -> None:
    bad = tmp_path / "a.space"
    bad.write_text("language 7\n")
    assert run("check", str(bad), *GATE, "1ms").exit_code == 2
