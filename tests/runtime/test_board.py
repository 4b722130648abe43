"""TensorBoard's events beside metrics; where it is not installed, none are written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from spacedsl_runtime.board import KINDS, Board
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


def kept_of_mlflow(folder: Path) -> dict[str, list[tuple[int, float]]]:
    mlflow: Any = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    home = client.get_experiment_by_name("spacedsl").experiment_id
    (found,) = client.search_runs([home])
    assert found.info.status == "FINISHED"
    history = {tag: client.get_metric_history(found.info.run_id, tag) for tag in found.data.metrics}
    return {tag: [(m.step, m.value) for m in values] for tag, values in history.items()}


@pytest.mark.filterwarnings("default")
def test_mlflow_has_the_numbers_of_a_resumed_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[str] = []
    with pytest.raises(Stopped):
        run(job(tmp_path, save_every=10, logs=("mlflow",)), stop=11, said=said)
    run(job(tmp_path, save_every=10, logs=("mlflow",)), resume=True, said=said)
    assert said == []
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    wanted = [(e["step"], e["loss"]["largest"]) for e in lines if "loss" in e]
    assert kept_of_mlflow(tmp_path)["loss/largest"] == wanted


@pytest.mark.filterwarnings("default")
def test_wandb_writes_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    said: list[str] = []
    run(job(tmp_path, logs=("wandb",)), said=said)
    assert said == []
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    for _ in range(300):  # a process of W&B's own writes it
        data = file.read_bytes()
        if b"scores/smallest/top1" in data:
            break
        time.sleep(0.1)
    assert b"loss/largest" in data
    assert b"scores/smallest/top1" in data


@pytest.mark.filterwarnings("default")
def test_a_board_that_fails_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path, step: int) -> Board:
        raise OSError("no room for events")

    monkeypatch.setitem(KINDS, "wandb", broken)
    said: list[str] = []
    assert run(job(tmp_path, logs=("wandb",)), said=said)
    assert said == ["wandb gets no more metrics: no room for events"]
    assert (tmp_path / METRICS).read_text().count("loss") >= 2
