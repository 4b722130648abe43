"""A training run: resumed it is the same run, and what goes wrong is said."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from spacedsl.checksum import sealed, unsealed
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    RecipeError,
    RunError,
)
from spacedsl_runtime.plan import read_plan, read_subnet
from spacedsl_runtime.train import loop
from spacedsl_runtime.train.evaluate import Evaluation, Score
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.quantise import fp32_scores
from spacedsl_runtime.train.recipe import recipe_for
from spacedsl_runtime.train.run import CHECKPOINT, METRICS
from spacedsl_runtime.train.state import Progress, State, load_weights, save_state
from spacedsl_runtime.train.step import train_step
from tests.runtime.test_data import write_folders
from tests.runtime.training import (
    ONE,
    PAGE,
    PLAN,
    Stopped,
    digits,
    job,
    no_file_above,
    run,
    same,
    usual_recipe,
    weights,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(job(folder))
    return folder


@pytest.mark.parametrize("stop", [1, 5, 8, 11])
def test_a_resumed_run_is_the_same_run(stop: int, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(job(folder), stop=stop)
    run(job(folder), resume=True)
    assert same(weights(folder), weights(whole))
    assert (folder / METRICS).read_bytes() == (whole / METRICS).read_bytes()


@pytest.mark.parametrize("evaluation", [1, 2])
def test_a_run_ended_within_an_evaluation_loses_no_step(
    evaluation: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two, after steps 6 and 12, of which there are checkpoints."""
    folder, evaluations, rates = tmp_path / "run", list[int](), list[float]()
    score, step = Evaluation.__call__, train_step

    def ending(self: Evaluation, *rest: Any) -> tuple[Score, ...]:
        evaluations.append(len(rates))
        if len(evaluations) == evaluation:
            raise Stopped
        return score(self, *rest)

    def counted(*rest: Any) -> Tensor:
        rates.append(rest[5])
        return step(*rest)

    monkeypatch.setattr(Evaluation, "__call__", ending)
    monkeypatch.setattr(loop, "train_step", counted)
    with pytest.raises(Stopped):
        run(job(folder, save_every=3))
    assert len(rates) == 6 * evaluation
    assert fp32_scores(folder) == {}
    run(job(folder, save_every=3), resume=True)
    assert rates == [usual_recipe().lr_at(i) for i in range(12)]
    assert evaluations == sorted([6, 12, 6 * evaluation])
    for name in (CHECKPOINT, METRICS):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_averaged_weights_are_resumed_too(tmp_path: Path) -> None:
    for name, stop in (("a", 0), ("b", 7)):
        if stop:
            with pytest.raises(Stopped):
                run(job(tmp_path / name, ema=0.9), stop=stop)
        run(job(tmp_path / name, ema=0.9), resume=True)
    found = weights(tmp_path / "a")
    assert same(found, weights(tmp_path / "b"))
    model = load_supernet(PLAN, 1, 10)
    header = load_weights(tmp_path / "a" / CHECKPOINT, model)
    assert header["labels"] == [str(n) for n in range(10)]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, found[f"ema.module.{name}"])
    assert not torch.equal(found["model.stages.0.0.conv0.weights.0"], next(model.parameters()))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    whole: Path, tmp_path: Path
) -> None:
    run(job(tmp_path / "again"))
    assert same(weights(tmp_path / "again"), weights(whole))
    run(job(tmp_path / "other", seed=1))
    assert not same(weights(tmp_path / "other"), weights(whole))


def test_workers_change_nothing(whole: Path, tmp_path: Path) -> None:
    """Nor does one CPU for two of them, of which torch would warn."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    try:
        run(job(tmp_path / "run", workers=2))
    finally:
        os.sched_setaffinity(0, cpus)
    assert same(weights(tmp_path / "run"), weights(whole))


def files_of(folder: Path) -> dict[str, bytes]:
    """All but the events of TensorBoard, which may be installed."""
    paths = (p for p in folder.iterdir() if not p.name.startswith("events."))
    return {p.name: p.read_bytes() for p in paths}


def test_a_finished_run_is_not_trained_on(whole: Path) -> None:
    before = files_of(whole)
    scores = run(job(whole), resume=True, stop=12)
    assert files_of(whole) == before
    logged = json.loads((whole / METRICS).read_text().splitlines()[-1])["scores"]
    assert {s.name: s.to_json() for s in scores} == logged


def test_a_run_directory_explains_itself(whole: Path) -> None:
    assert files_of(whole).keys() == {
        "resolved.space",
        "plan.json",
        "run.json",
        METRICS,
        CHECKPOINT,
    }
    about = json.loads((whole / "run.json").read_text())
    assert about["hash"] == PLAN.hash
    assert about["settings"]["seed"] == 0
    assert about["versions"]["torch"] == torch.__version__
    assert read_plan(whole / "plan.json", "supernet") == PLAN
    assert "space mini" in (whole / "resolved.space").read_text()
    steps = [json.loads(line)["step"] for line in (whole / METRICS).read_text().splitlines()]
    assert steps == [6, 10, 12, 12]


def test_other_settings_are_refused_with_the_difference(whole: Path) -> None:
    for more, message in (
        ({"lr": 0.2}, r"lr is 0\.1, this run's is 0\.2$"),
        ({"seed": 4}, "seed is 0, this run's is 4$"),
        ({"steps": 13, "warmup_epochs": 0.5}, "steps is 12, this run's is 13"),
        ({"data": digits(100, 40)}, "data is "),
        ({"page": ONE}, f"the space changed since: {PLAN.hash[:16]} then, .{{16}} now"),
    ):
        with pytest.raises(RunError, match=message):
            run(job(whole, **more), resume=True)
    with pytest.raises(RunError, match="holds a run already"):
        run(job(whole))


def test_another_machine_is_only_said(tmp_path: Path) -> None:
    folder, said = tmp_path / "run", list[str]()
    with pytest.raises(Stopped):
        run(job(folder), stop=6)
    path = folder / "run.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(sealed(unsealed(about, path, RunError) | {"threads": 64})))
    run(job(folder), resume=True, said=said)
    assert said == ["threads is 64, this run's is 1: the last bits of the weights may differ"]


def test_two_processes_do_not_write_one_run(whole: Path) -> None:
    import fcntl

    with (whole / METRICS).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process writes the run"):
            run(job(whole), resume=True)


def test_damaged_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(job(folder), stop=11)
    path = folder / CHECKPOINT
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"{}", whole[:9]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is no checkpoint, or cut short"):
            run(job(folder), resume=True)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="no checkpoint of spacedsl"):
        run(job(folder), resume=True)
    path.write_bytes(whole.replace(PLAN.hash.encode(), b"0" * len(PLAN.hash)))
    with pytest.raises(CheckpointError, match="is damaged: its checksum"):
        run(job(folder), resume=True)
    path.write_bytes(whole)
    (folder / METRICS).write_bytes(b"")
    with pytest.raises(RunError, match="it was edited"):
        run(job(folder), resume=True)


def test_a_checkpoint_of_another_space_is_not_loaded(tmp_path: Path) -> None:
    one = tmp_path / "one"
    with pytest.raises(Stopped):
        run(job(one, page=ONE), stop=6)
    model = load_supernet(PLAN, 1, 10)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=r"is of one, hash .* the model is of mini"):
        load_weights(one / CHECKPOINT, model)
    assert same(before, model.state_dict())


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(DivergedError) as caught:
        run(job(folder, lr=1e30, warmup_epochs=0.0, save_every=1))
    message = str(caught.value)
    assert "at step " in message
    assert "subnet `" in message
    assert "stage1 " in message
    subnet = read_subnet(folder / "failed.subnet.json", PLAN)
    assert f"at {subnet.resolution};" in message
    assert all(t.isfinite().all() for t in weights(folder).values())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    model = load_supernet(PLAN, 1, 10)
    state, path = State(model, optimiser_of(model, usual_recipe())), tmp_path / "c.safetensors"
    save_state(path, state, Progress(3), {})
    before = path.read_bytes()
    with torch.no_grad():
        next(model.parameters())[0] = torch.inf
    with pytest.raises(DivergedError, match=r"conv0\.weights\.0 is not finite after step 4"):
        save_state(path, state, Progress(4), {})
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_last_checkpoint(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(job(folder), stop=6)
    path = folder / CHECKPOINT
    before = path.read_bytes()
    with no_file_above(len(before) // 2), pytest.raises(CheckpointError, match="cannot write"):
        run(job(folder), resume=True)
    assert path.read_bytes() == before
    with no_file_above(100), pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl"):
        run(job(folder), resume=True)
    assert path.read_bytes() == before
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
    run(job(folder), resume=True)
    assert same(weights(folder), weights(whole))


def folder_data(root: Path, **more: Any) -> Any:
    write_folders(root, **more)
    return open_data(f"imagefolder:{root}")


RGB = PAGE.replace("1 x", "3 x")


def test_unreadable_images_are_left_out_and_remembered(tmp_path: Path) -> None:
    data = folder_data(tmp_path / "data", count=8)
    bad = tmp_path / "data" / "train" / "dog" / "3.png"
    bad.write_bytes(b"no image")
    folder, said = tmp_path / "run", list[str]()
    options: dict[str, Any] = {"page": RGB, "steps": 6, "batch": 8, "save_every": 2}
    with pytest.raises(Stopped):
        run(job(folder, data, **options), stop=4, said=said)
    run(job(folder, data, **options), resume=True, said=said)
    assert len(said) == 1
    assert f"cannot read {bad}" in said[0]
    run(job(tmp_path / "again", data, **options))
    assert same(weights(folder), weights(tmp_path / "again"))


def test_too_many_unreadable_images_stop(tmp_path: Path) -> None:
    data = folder_data(tmp_path / "data", count=16)
    for path in (tmp_path / "data" / "train").rglob("*.png"):
        if path.stem != "0":
            path.write_bytes(b"no image")
    with pytest.raises(DataError, match="11 images cannot be read, more than 10: "):
        run(job(tmp_path / "run", data, page=RGB, steps=6, batch=16))


def test_unlabelled_photos_are_no_data_to_train_on(tmp_path: Path) -> None:
    write_folders(tmp_path)
    with pytest.raises(DataError, match="has no labels"):
        recipe_for(open_data(f"photos:{tmp_path}"))


def test_there_is_no_gpu_here(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RecipeError, match="no CUDA device"):
        run(job(tmp_path / "run", device="cuda"))
