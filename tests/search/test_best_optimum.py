"""The proven optimum by the best networks, against scoring every space; journals; commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.search.best import completions, optimum
from spacedsl.search.best.line import Line
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import Genome
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.executors import Processes, serial
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.tables.files import load_table, save_table
from tests.search.fakes import FakeLatency, FakeQuality, load, page
from tests.search.test_best import VALUATIONS, Percent
from tests.search.test_exact_optimum import part_of_onnxw
from tests.search.test_exact_score import FIXED, SHARED, SMALL
from tests.search.test_limit import greatest, limited
from tests.support import ROOT

LIMITS_MS = (1.2, 1.7, 3.0)


def by_best(
    hyper: Space, limits_ms: Sequence[float] = LIMITS_MS, unit: str = "1/loss", count: int = 1
) -> BestScorer:
    quality = VALUATIONS[unit]
    options = {"definition": "best", "best": count}
    return BestScorer(ModelScorer(hyper, FakeLatency(), quality, limits_ms, **options))  # type: ignore[arg-type]


def scores(scorer: BestScorer | CombinedScorer, genome: Genome) -> list[float]:
    """Of every space that keeps the limit, best first."""
    kept = [g for g in map(genome.at, range(genome.size)) if genome.keeps(g)]
    return sorted((scorer.total(x) for x in scorer.limits(genome, kept)), reverse=True)


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [(SMALL, "1/loss", 1), (SHARED, "top-1", 1), (FIXED, "1/loss", 20), (page(), "top-1", 1)],
)
def test_no_space_is_better(text: str, unit: str, count: int) -> None:
    hyper = load(text)
    scorer = by_best(hyper, unit=unit, count=count)
    wanted = scores(scorer, Genome(hyper))
    found = best_optimum(by_best(hyper, unit=unit, count=count), top=2)
    assert found.complete
    assert [r.result.score for r in found.best] == pytest.approx(wanted[:2], rel=1e-9)
    assert found.enumerated + sum(found.pruned.values()) == found.size == Genome(hyper).size
    assert found.result.score <= found.bound <= found.result.score * (1 + 1e-8)
    assert found.result == scorer.score(found.space)


@pytest.mark.parametrize("combine", Combine)
def test_several_targets(combine: Combine) -> None:
    hyper = load(SMALL)

    def joined() -> CombinedScorer:
        parts = {"a": by_best(hyper, (1.5, 3.0)), "b": by_best(hyper, (1.2, 2.4))}
        return CombinedScorer(parts, combine)

    found = best_optimum(joined())
    assert found.complete
    assert found.result.score == pytest.approx(scores(joined(), Genome(hyper))[0], rel=1e-9)


def test_a_limit_on_costs_is_kept() -> None:
    """By the spaces, and so by every network that is chosen."""
    genome = Genome(load(SMALL))
    costs = np.array([greatest(load(SMALL), genome.at(i)) for i in range(genome.size)])
    flops, params, memory = (int(np.quantile(column, 0.5)) for column in costs.T)
    hyper = limited(SMALL, flops=flops, params=params, memory=memory)
    found = best_optimum(by_best(hyper))
    wanted = scores(by_best(hyper), Genome(hyper))
    assert 0 < len(wanted) < genome.size
    assert found.complete
    assert found.result.score == pytest.approx(wanted[0], rel=1e-9)
    assert found.pruned["over the limit"] > 0
    assert found.enumerated + sum(found.pruned.values()) == found.size
    nothing = limited(SMALL, flops=1)
    with pytest.raises(SpaceError, match="keeps its limit"):
        best_optimum(by_best(nothing))


@pytest.mark.parametrize("limit", [False, True])
def test_diving_often_changes_nothing_but_the_order(
    limit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every space is decided once, whenever it is scored, and journals go on."""
    hyper, path = load(SMALL), tmp_path / "journal"
    if limit:
        genome = Genome(hyper)
        some = [greatest(hyper, genome.at(i))[0] for i in range(0, genome.size, 3)]
        hyper = limited(SMALL, flops=int(np.median(some)))
    plain = best_optimum(by_best(hyper))
    monkeypatch.setattr(optimum, "DIVES", 1)
    found = best_optimum(by_best(hyper), serial, path, top=3)
    assert found.complete
    assert found.result == plain.result
    assert found.enumerated + sum(found.pruned.values()) == found.size == plain.size
    wanted = scores(by_best(hyper), Genome(hyper))[:3]
    assert [r.result.score for r in found.best] == pytest.approx(wanted, rel=1e-9)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    assert best_optimum(by_best(hyper), serial, path, resume=True, top=3) == found
    assert path.read_bytes() == whole


ALONE = """
import pathlib, sys
from tests.search import test_best_optimum
test_best_optimum.nothing_changes(pathlib.Path(sys.argv[1]))
"""


def test_processes_journals_and_stops_change_nothing(tmp_path: Path) -> None:
    """In a program of its own, which forks: these tests may have loaded libraries whose threads do
    not survive that."""
    call = [sys.executable, "-c", ALONE, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=False, timeout=200)
    assert done.returncode == 0, done.stderr


def nothing_changes(folder: Path) -> None:
    hyper, path = load(page()), folder / "journal"
    plain = best_optimum(by_best(hyper))
    assert best_optimum(by_best(hyper), Processes(2)) == plain
    assert best_optimum(by_best(hyper), serial, path) == plain
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 3
    for kept in (1, len(lines) // 2, len(lines)):
        path.write_bytes(b"".join(lines[:kept]) + b'["torn')
        assert best_optimum(by_best(hyper), serial, path, resume=True) == plain
        assert path.read_bytes() == whole
    with pytest.raises(SpaceError, match="not the journal of this search"):
        best_optimum(by_best(hyper, count=2), serial, path, resume=True)
    path.unlink()
    stopped = best_optimum(by_best(hyper), serial, path, seconds=0.0)
    assert not stopped.complete
    assert stopped.enumerated == 1
    assert stopped.open + stopped.enumerated == stopped.size
    assert stopped.result.score <= plain.result.score <= stopped.bound
    assert best_optimum(by_best(hyper), serial, path, resume=True) == plain
    assert path.read_bytes() == whole


def test_a_journal_cannot_lie(tmp_path: Path) -> None:
    """Any digit that is changed is an error."""
    hyper, path = load(SMALL), tmp_path / "journal"
    best_optimum(by_best(hyper), serial, path)
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        at = [i for i, byte in enumerate(line) if byte in b"0123456789"]
        for i in at[:: max(1, len(at) // 5)]:
            digit = b"%d" % ((int(line[i : i + 1]) + 1) % 10)
            changed = [*lines[:number], line[:i] + digit + line[i + 1 :], *lines[number + 1 :]]
            path.write_bytes(b"".join(changed))
            with pytest.raises(SpaceError) as caught:
                best_optimum(by_best(hyper), serial, path, resume=True)
            assert caught.value.diagnostics[0].code in ("bad-journal", "journal-differs")


def test_evolution_finds_the_optimum_and_resumes(tmp_path: Path) -> None:
    hyper, path = load(page()), tmp_path / "journal"
    best = best_optimum(by_best(hyper)).result.score
    options = {"population": 30, "sample": 10, "cycles": 200}
    found = evolve(hyper, by_best(hyper), journal=path, **options)  # type: ignore[arg-type]
    assert found.score == pytest.approx(best, rel=5e-3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    again = evolve(hyper, by_best(hyper), journal=path, resume=True, **options)  # type: ignore[arg-type]
    assert again.space == found.space
    assert path.read_bytes() == whole


@pytest.mark.slow
def test_optimum_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacedsl.flows.optimum.LONG", 0.0)  # else what is short is not said
    page_file, out = tmp_path / "part.space", tmp_path / "top.space"
    page_file.write_text(write(part_of_onnxw(3, 1)))
    call = ["optimum", "--hyper", str(page_file), "--target", "vnni", "--jobs", "1"]
    runner = CliRunner()
    ran = runner.invoke(app, [*call, "--format", "json", "--out", str(out), "--top", "2"])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert data["complete"]
    assert data["definition"] == "best"
    assert data["enumerated"] + sum(data["pruned"].values()) == data["spaces"]
    assert data["evolution"] is None
    for limit in data["limits"]:
        assert limit["latency_ms"] <= limit["limit_ms"]
        assert limit["score"] == limit["top1"]
        assert 60 < limit["top1"] < 85
        assert 0 < limit["top1_sd"] < 1.5
        assert limit["extrapolated"] == (not 74.7 <= limit["top1"] <= 79.9)
    scored = runner.invoke(app, ["score", str(out), "--target", "vnni", "--format", "json"])
    assert json.loads(scored.stdout)["score"] == data["score"]
    text = runner.invoke(app, call)
    assert "preparing all stages takes about" in text.stderr
    assert "certificate: complete" in text.stdout
    assert "top-1 of the best 1 of all networks" in text.stdout


@pytest.mark.slow
def test_evolve_command(tmp_path: Path) -> None:
    """Models are pages that stand beside the space and are as fast as `show` says."""
    hyper, out, models = (tmp_path / n for n in ("part.space", "mine.space", "models"))
    hyper.write_text(write(part_of_onnxw(2, 2)))
    call = ["evolve", "--hyper", str(hyper), "--target", "vnni", "--cycles", "12"]
    call += ["--population", "8", "--sample", "4", "--models", str(models)]
    runner = CliRunner()
    ran = runner.invoke(app, [*call, "--out", str(out), "--format", "json"])
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert data["definition"] == "best"
    assert [stage["stage"] for stage in data["stages"]] == [f"stage{i}" for i in range(1, 7)]
    found = api.load_space(str(out))
    for limit in data["limits"]:
        path = models / f"mine-{limit['limit_ms']:g}ms.space"
        model = api.load(str(path))
        assert isinstance(model, Subnet)
        assert model.of == found
        assert model.resolution == limit["resolution"]
        shown = runner.invoke(app, ["show", str(path), "--target", "vnni", "--format", "json"])
        facts = json.loads(shown.stdout)
        assert facts["hash"] == limit["hash"]
        assert facts["latency"]["total_ms"] == limit["latency_ms"] <= limit["limit_ms"]
    text = runner.invoke(app, call)
    assert text.exit_code == 0, text.output
    assert "best of 4 random" in text.stdout
    assert "too close to call" in text.stdout or "clearly better" in text.stdout
    assert "networks that were chosen so and then trained had 1.6 points less" in text.stdout
    assert "tables calibrate" not in text.stdout
    first = models / f"found-{data['limits'][0]['limit_ms']:g}ms"
    then = f"next: spacedsl export {first}.space --target vnni --out {first}.onnx"
    assert text.stdout.splitlines()[-1] == then
    plain = tmp_path / "plain.json"
    save_table(load_table("onnxw").model_copy(update={"calibration": None}), plain)
    text = runner.invoke(app, [*call, "--quality", str(plain)])
    assert "1/loss" in text.stdout
    assert "tables calibrate" in text.stdout
    assert api.load_space(str(models / "found.space")) is not None
    for options, why in (
        (("--samples", "20"), "--samples belongs to --definition qt"),
        (("--exact",), "--exact belongs to --definition qt"),
        (("--scorer", "rows:x"), "--scorer rows belongs to --definition qt"),
        (("--weights", "1,2"), "2 weights for 5 latency limits"),
        (("--weights", "one"), "not a list of weights"),
        (("--definition", "qt"), "--models belongs to --definition best"),
    ):
        refused = runner.invoke(app, [*call, *options])
        assert refused.exit_code == 2
        assert why in refused.stderr


def test_only_spaces_that_are_scored_need_the_fronts_of_several_networks() -> None:
    """Bounds go by the best network, so the rest of the hyperspace is prepared as for one."""
    several, one = by_best(load(page()), count=20), by_best(load(page()))
    found = best_optimum(several)
    best_optimum(one)
    assert found.complete
    assert found.enumerated < found.size / 4
    prepared, plain = several.engine.prefixes.line, one.engine.line
    assert (prepared.layers, plain.layers) == (1, 1)
    every = [(stage, gene) for stage in range(plain.stages) for gene in plain.genes(stage)]
    for at in every:
        assert prepared.front(*at).nbytes == plain.front(*at).nbytes
    assert len(several.engine.line._kept) < len(every)
    begun = plain.genome.identity(plain.genome.drawn(Stream(0), ()))  # is scored, but no rival
    assert begun not in {space_identity(rival.space) for rival in found.rivals}


def test_calibrated_scores_are_in_percent() -> None:
    found = best_optimum(by_best(load(SMALL), unit="top-1"))
    network = found.result.networks[0][0]  # type: ignore[union-attr]
    assert network.sd == 0.5
    value = Percent().value(np.array([network.loss]), network.subnet.resolution)
    assert network.value == value[0]
    assert FakeQuality().valuation.unit == "1/loss"


def test_what_is_too_large_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarser grid bounds less tightly, which is all it changes; too little memory fails."""
    hyper = load(SMALL)
    plain = best_optimum(by_best(hyper))
    line = by_best(hyper).engine.line
    for steps in (4_096, 1_024, 256):
        monkeypatch.setattr(completions, "BYTES", needed(line) * steps)
        assert completions.grid_steps(line) == steps
        found = best_optimum(by_best(hyper))
        assert found.complete
        assert found.best == plain.best
    monkeypatch.setattr(completions, "BYTES", needed(line) * 255)
    with pytest.raises(SpaceError, match="would take") as caught:
        best_optimum(by_best(hyper))
    assert caught.value.diagnostics[0].code == "not-searchable"


def needed(line: Line) -> int:
    """Bytes for a step of the grid."""
    rows = sum(len(line.genes(stage)) * line.incoming(stage) for stage in range(line.stages))
    return 4 * len(line.resolutions) * rows
