"""distill: losses fall, jobs stand for themselves, and the table is one that `tables` reads."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spacedsl.checksum import sealed
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.space import Space
from spacedsl.tables.distilled import substage_rows
from spacedsl.tables.files import load_quality, load_table
from spacedsl.tables.fit_quality import substages
from spacedsl.tables.quality import FittedQuality
from spacedsl_runtime.distill import loop
from spacedsl_runtime.distill.loop import BkdJob
from spacedsl_runtime.distill.results import save_failure
from spacedsl_runtime.distill.table import Row
from tests.cli.test_commands import run, run_json
from tests.runtime.test_data import write_fashion, write_folders
from tests.runtime.training import job, no_file_above
from tests.runtime.training import run as train
from tests.shown import words_of
from tests.support import item_of
from tests.targets.made_up_target import write_target

PAGE = """language 1
use "std/blocks.space"
hyperspace small {
  input 1 x 8, 12
  blocks {
    mbv2 { kernel 3, 5  expand 2, 3 }
    mbv1-dual { kernel 3, 5 }
  }
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 { width 8..24 step 8  window 2  depth 1..2  stride 2 }
  elastic stage2 { width 16, 24  depth 1..2 }
  head { conv 1x1 -> 32 relu  pool  linear -> 10 }
}
space big of small {
  stage1 { mbv2  width 16, 24 }
  stage2 { mbv2  width 16, 24 }
}
"""

JOBS = ["stage1 0 mbv2", "stage1 1 mbv1-dual", "stage2 0 mbv2", "stage2 1 mbv1-dual"]

OPTIONS = ("--steps", "6", "--batch", "16", "--samples", "4", "--threads", "1")


def hyper() -> Space:
    found = item_of(PAGE, "small")
    assert isinstance(found, Space)
    return found


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `big` on digits."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("teacher") / "run"
    big = item_of(PAGE, "big")
    assert isinstance(big, Space)
    train(job(folder, plan=supernet_plan(big), steps=40, batch=32, lr=0.4))
    return folder


def words(teacher: Path, out: Path, *more: str) -> tuple[str, ...]:
    page, data = teacher.parent / "small.space", teacher.parent
    if not page.exists():
        page.write_text(PAGE)
        write_fashion(data, 80, 20)
    spec = f"checkpoint:{teacher}"
    start = ("distill", "--hyper", f"{page}#small", "--data", f"fashion-mnist:{data}")
    return (*start, "--teacher", spec, "--out", str(out), *OPTIONS, *more)


def documented(
    teacher: Path, out: Path, text: str, more: str, here: dict[str, str]
) -> tuple[str, ...]:
    """The same as a text says it; `more`: what follows there, `here`: words in places of that."""
    _, _, page, _, data, _, spec, *_ = words(teacher, out)
    mine = {"mine.space": page, "photos:PHOTOS": data, "lite0": spec, "runs/bkd": str(out)}
    start = "spacedsl distill --hyper mine.space --data photos:PHOTOS --teacher lite0 "
    return (*words_of(text, start + more, mine | here)[1:], *OPTIONS)


@pytest.fixture(scope="module")
def whole(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed distillation."""
    out = tmp_path_factory.mktemp("whole") / "bkd"
    here = documented(teacher, out, "howto/own-accuracies.md", "", {})
    found = run_json(*here, "--html", str(out.parent / "report.html"))
    assert found["jobs"] == JOBS
    assert found["rows"] == 2 * 4 * (2 + 2 + 1 + 1)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    files = [
        p
        for p in folder.rglob("*")
        if p.is_file() and p.name != "run.json" and not p.name.startswith("events.")
    ]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_a_distillation_is_looked_at_as_a_page(whole: Path) -> None:
    """With the losses of every stage and block type."""
    text = (whole.parent / "report.html").read_text(encoding="utf-8")
    for name in JOBS:
        stage, number, block = name.split()
        rows = json.loads((whole / "jobs" / f"{stage}.{number}.{block}.json").read_text())["rows"]
        low, high = (end(row["loss"] for row in rows) for end in (min, max))
        assert f"{stage} {block}: median" in text
        assert f"{low:.4g} to {high:.4g}" in text
        *_, last = (whole / "jobs" / f"{stage}.{number}.{block}.jsonl").read_text().splitlines()
        assert f"{block} ends at {json.loads(last)['loss']['largest']:.4g}" in text


def test_a_space_is_searched_by_the_losses(whole: Path, teacher: Path, tmp_path: Path) -> None:
    """As the how-to says it, for a target that needs no measuring."""
    page, out = f"{teacher.parent / 'small.space'}#small", tmp_path / "found.space"
    mine = {"mine.space": page, "runs/bkd": str(whole), "found.space": str(out)}
    start = "spacedsl evolve --hyper mine.space --target cpu --quality runs/bkd"
    here = mine | {"cpu": str(write_target(tmp_path, hyper()))}
    soon = ("--cycles", "4", "--population", "2", "--sample", "2")
    found = run(*words_of("howto/own-accuracies.md", start, here)[1:], *soon)
    assert found.exit_code == 0, found.output
    assert "1/loss of the best networks" in found.stdout
    assert f"quality {load_quality(str(whole)).identity[:16]}" in out.read_text()


def test_the_table_is_fitted_to_the_rows(whole: Path) -> None:
    table = load_table(whole / "quality.json")
    assert load_table(str(whole)) == table
    assert table.source.hyperspace == "small"
    assert table.source.teacher.startswith("checkpoint:")
    assert table.source.nsr == "teacher-variance"
    assert table.source.provenance.startswith("spacedsl distill on fashion-mnist:")
    model, space = load_quality(str(whole)), hyper()
    assert isinstance(model, FittedQuality)
    for number, stage in enumerate(("stage1", "stage2"), 1):
        for choice in range(2):
            name = JOBS[2 * number - 2 + choice]
            rows = json.loads((whole / "jobs" / f"{name.replace(' ', '.')}.json").read_text())
            assert rows["job"] == name
            files = substage_rows(space, number, choice, rows["rows"])
            (cell,) = substages(files, space)
            fitted = model.stage(number, cell.choice)
            assert fitted is not None, stage
            found = fitted.losses(cell.resolution, cell.cin, cell.depth, cell.widths, cell.settings)
            assert np.isfinite(found).all()
            assert np.abs(found - cell.loss).mean() <= np.abs(cell.loss - cell.loss.mean()).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "here"),
    [("--jobs", {"4": "2"}), ("--executor", {"ADDRESS": "local"})],
    ids=["processes", "ray"],
)
def test_every_executor_gives_the_same_bytes(
    teacher: Path, whole: Path, tmp_path: Path, line: str, here: dict[str, str]
) -> None:
    """Of the job that is missing and of one that failed, by the documented commands."""
    out = tmp_path / "bkd"
    shutil.copytree(whole, out)
    (out / "jobs/stage1.0.mbv2.json").unlink()
    save_failure(out, "stage2 0 mbv2", "memory")
    run_json(*documented(teacher, out, "howto/cluster.md", line, here), "--resume")
    assert contents(out) == contents(whole)


def test_losses_are_those_of_the_int8_arithmetic(
    teacher: Path, whole: Path, tmp_path: Path
) -> None:
    assert load_table(whole / "quality.json").source.note == "INT8 losses, LSQ+ for cpu"
    settings = json.loads((whole / "run.json").read_text())["settings"]
    assert (settings["steps"], settings["lsq_steps"]) == (6, 1)
    assert settings["int8"]["acts"] == {"relu": "saturate", "relu6": "saturate"}
    out = tmp_path / "bkd"
    run_json(*words(teacher, out, "--fp32"))
    assert load_table(out / "quality.json").source.note == "FP32 losses"
    name = "jobs/stage2.0.mbv2.json"
    int8, fp32 = (json.loads((f / name).read_text())["rows"] for f in (whole, out))
    assert [{**r, "loss": 0} for r in int8] == [{**r, "loss": 0} for r in fp32]
    assert all(a["loss"] != b["loss"] for a, b in zip(int8, fp32, strict=True))
    differing = run_json(*words(teacher, out, "--resume"), code=2)["diagnostics"][0]["message"]
    assert "int8 is missing" in differing
    assert "lsq_steps is 0, this run's is 1" in differing


def test_tables_fit_reads_the_run(whole: Path, teacher: Path, tmp_path: Path) -> None:
    page, out = teacher.parent / "small.space", tmp_path / "table.json"

    def fit(run: Path, hyper: str, code: int = 0) -> dict[str, Any]:
        return run_json("tables", "fit", str(run), "--hyper", hyper, "--out", str(out), code=code)

    assert fit(whole, f"{page}#small")["rows"] == 48
    assert out.read_bytes() == (whole / "quality.json").read_bytes()
    assert fit(whole, "tiny", 2)["diagnostics"][0]["code"] == "table-mix"
    shutil.copytree(whole, tmp_path / "bkd")
    path = tmp_path / "bkd/jobs/stage1.0.mbv2.json"
    good = path.read_text()
    damages = {
        "stage1 0": ("stage9 0", "stage1 7"),
        '"window":0': ('"window":9', '"window":"a"'),
        '"loss":': ('"loss":-',),
        "[[8,[3": ("[[8,[4", "[[9,[3", "[[8,[3]],[8,[3]],[8,[3"),
    }
    for old, new in ((old, new) for old, news in damages.items() for new in news):
        assert old in good
        changed = json.loads(good.replace(old, new))
        changed.pop("checksum")
        path.write_text(json.dumps(sealed(changed)))
        assert fit(tmp_path / "bkd", f"{page}#small", 2)["diagnostics"][0]["code"] == "table-row"


def test_a_killed_distillation_goes_on_to_the_same_bytes(
    teacher: Path, whole: Path, tmp_path: Path
) -> None:
    """A job's file is there or not: what is missing is what was running and what was to come."""
    out = tmp_path / "bkd"
    shutil.copytree(whole, out)
    for name in ("quality.json", "jobs/stage2.0.mbv2.json", "jobs/stage2.1.mbv1-dual.json"):
        (out / name).unlink()
    assert run_json(*words(teacher, out), code=2)["diagnostics"][0]["code"] == "bad-run"
    run_json(*words(teacher, out, "--resume"))
    assert contents(out) == contents(whole)


def test_a_job_killed_by_the_system_goes_on_to_the_same_bytes(
    teacher: Path, whole: Path, tmp_path: Path
) -> None:
    """The command gets SIGKILL when its second job ends."""
    out = tmp_path / "bkd"
    command = [sys.executable, "-m", "spacedsl", *words(teacher, out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if (out / "jobs/stage1.1.mbv1-dual.json").exists():
                break
            time.sleep(0.001)
        assert running.poll() is None, "it ended before it was killed"
        os.kill(running.pid, signal.SIGKILL)
    assert not (out / "quality.json").exists()
    assert not (out / "jobs/stage2.1.mbv1-dual.json").exists()
    run_json(*words(teacher, out, "--resume"))
    assert contents(out) == contents(whole)


def test_without_a_cache_the_bytes_are_the_same(teacher: Path, whole: Path, tmp_path: Path) -> None:
    run_json(*words(teacher, tmp_path / "bkd", "--cache-gb", "0"))
    assert contents(tmp_path / "bkd") == contents(whole)


def test_metrics_are_the_losses_by_step(whole: Path) -> None:
    for name in JOBS:
        text = (whole / "jobs" / f"{name.replace(' ', '.')}.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["step"] for line in lines] == [6, 7]  # the ends of FP32 and of LSQ+
        for line in lines:
            assert {"largest", "smallest"} <= set(line["loss"])
            assert all(0 < loss < 100 for loss in line["loss"].values())


def test_two_processes_do_not_write_one_run(teacher: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "bkd"
    shutil.copytree(whole, out)
    (out / "quality.json").unlink()
    with (out / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = run_json(*words(teacher, out, "--resume"), code=2)["diagnostics"][0]
    assert found["code"] == "bad-run"
    assert f"another process writes the run {out}" in found["message"]
    assert not (out / "quality.json").exists()
    run_json(*words(teacher, out, "--resume"))
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("name", ["jobs/stage1.0.mbv2.json", "quality.json"])
def test_a_full_disk_leaves_nothing_half_written(
    name: str, teacher: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bkd"
    shutil.copytree(whole, out)
    (out / name).unlink()
    before = contents(out)
    with no_file_above((whole / name).stat().st_size - 1):
        found = run_json(*words(teacher, out, "--resume"), code=2)["diagnostics"][0]
    assert f"cannot write {out / name}: File too large" in found["message"]
    assert {n: b for n, b in contents(out).items() if "features/" not in n} == before
    run_json(*words(teacher, out, "--resume"))
    assert contents(out) == contents(whole)


def test_a_failed_job_is_retried_and_harms_no_other(
    teacher: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tries = tmp_path / "bkd", list[str]()
    real = loop.distill

    def failing(task: BkdJob, *rest: Any) -> Iterator[Row]:
        tries.append(task.plan.name)
        if task.plan.name == "small stage1 mbv1-dual" or tries.count(task.plan.name) == 1:
            raise RuntimeError("out of memory")
        return real(task, *rest)

    monkeypatch.setattr(loop, "distill", failing)
    found = run_json(*words(teacher, out), code=2)["diagnostics"][0]
    assert found["code"] == "job-failed"
    assert "1 of 4 jobs failed: stage1 1 mbv1-dual: out of memory" in found["message"]
    assert len(tries) == 8
    assert json.loads((out / "jobs" / "stage1.1.mbv1-dual.json").read_text())["failed"]
    assert not (out / "quality.json").exists()
    monkeypatch.undo()
    run_json(*words(teacher, out, "--resume"))
    assert contents(out) == contents(whole)


def test_what_does_not_fit_is_refused(teacher: Path, whole: Path, tmp_path: Path) -> None:
    def refused(code: str, message: str, *args: str) -> None:
        found = run_json(*args, code=2)["diagnostics"][0]
        assert (found["code"], message in found["message"]) == (code, True), found

    other = words(teacher, whole, "--resume", "--lr", "0.5")
    refused("bad-run", "lr is missing, this run's is 0.5", *other)
    out = tmp_path / "bkd"
    data = f"fashion-mnist:{teacher.parent}"
    write_folders(tmp_path / "photos")
    photos = ("--data", f"photos:{tmp_path / 'photos'}", "--out", str(out))
    tiny = ("distill", "--hyper", "tiny", *photos)
    refused("bad-teacher", "lite0 does not fit: at stride 8", *tiny, "--teacher", "lite0")
    refused("bad-teacher", "unknown teacher `b5`", *tiny, "--teacher", "b5")
    grey = ("distill", "--hyper", "onnxw", "--data", data, "--out", str(out), *OPTIONS)
    refused("bad-teacher", "lite0 takes 3 channels", *grey, "--teacher", "lite0")
    model = ("distill", "--hyper", "seqnet-vnni-a0", "--data", data, "--out", str(out))
    assert run(*model, "--teacher", "lite0").exit_code == 2
    assert not out.exists()
