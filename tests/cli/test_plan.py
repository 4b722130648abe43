"""plan: the steps that will be taken, with what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl.api import load_target
from tests.cli.test_commands import run, run_json
from tests.cli.test_distill import PAGE, teacher  # noqa: F401  a fixture
from tests.runtime.training import ONE
from tests.shown import words_of


@pytest.mark.slow
def test_every_step_of_a_hyperspace_is_planned(teacher: Path, tmp_path: Path) -> None:  # noqa: F811
    page = tmp_path / "small.space"
    page.write_text(PAGE.replace("1..2", "1..3"))  # more subnets than a search values
    data = {"imagefolder:PHOTOS": "digits", "lite0": f"checkpoint:{teacher}"}
    here = {"mine.space": f"{page}#small"} | data
    start = words_of("howto/own-accuracies.md", "spacedsl plan", here)[1:]
    more = ("--bkd-steps", "10", "--samples", "3", "--threads", "1")
    found = run_json(*start, *more, "--steps", "20", "--batch", "32")
    steps = {step["step"]: step for step in found["steps"]}
    assert list(steps) == ["distill", "evolve", "train", "train --qat", "search"]
    assert steps["distill"]["steps"] == 4 * (10 + 2)
    assert steps["distill"]["images"] == 4 * (10 + 2) * 64
    assert steps["distill"]["disk_bytes"] == 180 * 3 * 2 * (2 + 2 + 1 + 1)
    assert (steps["train"]["steps"], steps["train"]["images"]) == (20, 640)
    kept, held, test = 1294, 143, 360  # digits
    assert steps["train --qat"]["steps"] == 6 * (kept // 32)  # as `train --qat` without --steps
    assert steps["train --qat"]["images"] == 32 * steps["train --qat"]["steps"]
    limits = len(load_target("cpu").limits_ms)
    valued = steps["search"]["steps"]
    assert valued == 400  # by prediction
    assert steps["search"]["images"] == valued * (1280 + held) + limits * 2 * (1280 + test)
    assert steps["evolve"]["seconds"] is None
    for name in ("distill", "train", "train --qat", "search"):
        assert steps[name]["seconds"] > 0, name
        assert steps[name]["memory_bytes"] > 1e8, name


def test_a_space_is_planned_without_a_search_for_it(tmp_path: Path) -> None:
    page = tmp_path / "small.space"
    page.write_text(PAGE)
    found = run("plan", f"{page}#big", "--data", "digits", "--threads", "1", "--steps", "20")
    assert found.exit_code == 0
    *table, then = found.stdout.splitlines()
    steps = [step for line in table if (step := line.partition("  ")[0])]
    assert steps == ["train", "train --qat", "search"]
    assert then == f"next: spacedsl train '{page}#big' --data digits --out run"


def test_no_more_subnets_are_valued_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "one.space").write_text(ONE)
    start = ("plan", str(tmp_path / "one.space"), "--data", "digits", "--threads", "1")
    steps = run_json(*start, "--steps", "20", "--qat-steps", "7")["steps"]
    assert [(s["step"], s["steps"]) for s in steps] == [
        ("train", 20),
        ("train --qat", 7),
        ("search", 1),
    ]


def test_what_does_not_fit_is_said_instead_of_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from spacedsl_runtime.measure import memory

    (tmp_path / "one.space").write_text(ONE)
    start = ("plan", str(tmp_path / "one.space"), "--data", "digits", "--threads", "1")
    assert not any("fit" in step["note"] for step in run_json(*start, "--batch", "64")["steps"])
    monkeypatch.setattr(memory, "free_bytes", lambda _: 8 << 20)
    found = run_json(*start, "--batch", "512")["steps"]
    assert "more do not fit: 0.0 GB are free; try --batch 256" in found[0]["note"]
    assert "fit" not in found[2]["note"]


def test_what_is_free_is_known_here() -> None:
    import torch

    from spacedsl_runtime.measure.memory import free_bytes

    here = free_bytes(torch.device("cpu"))
    assert here is not None
    assert here > 1 << 20
