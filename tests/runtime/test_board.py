"""TensorBoard's events beside metrics; where it is not installed, none are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spacedsl_runtime.distill.results import save_metrics
from spacedsl_runtime.train.run import METRICS
from tests.runtime.training import Stopped, job, run


def events(folder: Path) -> dict[str, dict[int, float]]:
    """Every number by tag and step, as TensorBoard shows them."""
    accumulator: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


@pytest.mark.filterwarnings("default")
def test_a_resumed_training_shows_every_loss_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with pytest.raises(Stopped):
        run(job(tmp_path, save_every=10), stop=11)
    run(job(tmp_path, save_every=10), resume=True)
    lines = map(json.loads, (tmp_path / METRICS).read_text().splitlines())
    wanted = {entry["step"]: entry["loss"]["largest"] for entry in lines if "loss" in entry}
    assert events(tmp_path)["loss/largest"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.filterwarnings("default")
def test_a_job_of_a_distillation_is_a_run_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "jobs").mkdir()
    save_metrics(
        tmp_path, "stage1.0 mbv2", [{"step": i, "loss": {"largest": 1 / i}} for i in (1, 2)]
    )
    assert events(tmp_path / "jobs" / "stage1.0.mbv2") == {"loss/largest": {1: 1.0, 2: 0.5}}
