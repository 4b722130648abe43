"""Training: a step is the method's, a resumed run the same run, and what goes wrong is said."""

from __future__ import annotations

import copy
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    RecipeError,
    RunError,
)
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.subnet import read_subnet
from spacedsl_runtime.train import loop
from spacedsl_runtime.train.batches import batches, resized
from spacedsl_runtime.train.evaluate import Evaluation, Score
from spacedsl_runtime.train.loop import sandwich, train_step
from spacedsl_runtime.train.optimise import average_of, optimiser_of
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.quantise import fp32_scores
from spacedsl_runtime.train.recipe import Recipe, recipe_for
from spacedsl_runtime.train.run import CHECKPOINT, METRICS
from spacedsl_runtime.train.state import Progress, State, load_weights, save_state
from tests.runtime.test_data import write_folders
from tests.runtime.training import ONE, PAGE, Stopped, digits, job, mini_json, run, weights

PLAN = read_plan(mini_json(), "supernet")
RECIPE = recipe_for(digits(), steps=12, batch=16, lr=0.1)


LEARNS: dict[str, Any] = {"steps": 80, "batch": 32, "lr": 1.0, "warmup_epochs": 0.5}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(job(folder))
    return folder


def test_digits_are_learnt(tmp_path: Path) -> None:
    scores = run(job(tmp_path / "run", open_data("digits"), evaluate_every=80, **LEARNS))
    found = {s.name: s.top1 for s in scores}
    assert found["largest"] > 0.4  # chance: 0.1
    assert min(found.values()) > 0.2
    assert all(s.images == 360 for s in scores)


def test_a_step_is_the_sandwich_rule() -> None:
    """Gradients are those of the largest on the labels plus those of the others on its answers."""
    torch.manual_seed(0)
    model = load_supernet(PLAN, 1, 10).train()
    twin = copy.deepcopy(model)
    images, labels = torch.randn(16, 1, 12, 12), torch.randint(10, (16,))
    subnets = sandwich(PLAN, RECIPE, 3)
    assert list(subnets) == ["largest", "smallest", "random0", "random1"]
    state = State(model, optimiser_of(model, RECIPE))
    torch.manual_seed(7)
    losses = train_step(state, images, labels, subnets, RECIPE, 0.05, World())

    torch.manual_seed(7)
    teacher = twin(images, subnets["largest"])
    expected = [F.cross_entropy(teacher, labels, label_smoothing=0.1)]
    target = teacher.detach().softmax(1)
    for subnet in list(subnets.values())[1:]:
        answer = twin(resized(images, subnet.resolution), subnet, dropout=False)
        ratio = target.log() - answer.log_softmax(1)
        expected.append((target * ratio).sum(1).mean())
    torch.autograd.backward(torch.stack(expected).sum())
    assert losses == pytest.approx([float(loss.detach()) for loss in expected], abs=1e-6)
    for (name, after), before in zip(model.named_parameters(), twin.parameters(), strict=True):
        if before.grad is None:
            assert torch.equal(after, before), name
            continue
        grad = before.grad.clamp(-1, 1)
        grad = grad + (RECIPE.weight_decay * before if before.dim() > 1 else 0)
        moved = before - 0.05 * 1.9 * grad  # Nesterov's first step
        torch.testing.assert_close(after, moved.detach(), rtol=1e-4, atol=1e-6)


def test_labels_alone_where_nothing_is_distilled() -> None:
    recipe = recipe_for(digits(), steps=12, batch=16, distill=0.0)
    model = load_supernet(PLAN, 1, 10).train()
    images, labels = torch.randn(16, 1, 12, 12), torch.randint(10, (16,))
    subnets = sandwich(PLAN, recipe, 0)
    state = State(model, optimiser_of(model, recipe))
    twin = copy.deepcopy(model)
    losses = train_step(state, images, labels, subnets, recipe, 0.0, World())
    small = subnets["smallest"]
    logits = twin(resized(images, small.resolution), small, dropout=False)
    hard = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert losses[1] == pytest.approx(float(hard.detach()), rel=1e-5)


def test_a_space_of_one_network_trains_that_network(tmp_path: Path) -> None:
    plan = read_plan(mini_json(ONE), "supernet")
    assert list(sandwich(plan, RECIPE, 0)) == ["largest"]
    scores = run(job(tmp_path / "run", page=ONE))
    assert [s.name for s in scores] == ["largest"]


def test_rates_warm_up_and_fall() -> None:
    recipe = Recipe(steps=100, batch=8, lr=0.8, warmup=10, weight_decay=0.0)
    assert recipe.lr_at(0) == pytest.approx(0.08)
    assert recipe.lr_at(9) == recipe.lr_at(10) == pytest.approx(0.8)
    assert recipe.lr_at(55) == pytest.approx(0.4)
    assert 0 < recipe.lr_at(99) < 0.001


def test_only_weights_decay() -> None:
    model = load_supernet(PLAN, 1, 10)
    weights, others, quantisers = optimiser_of(model, RECIPE).param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (RECIPE.weight_decay, 0.0)
    assert (quantisers["weight_decay"], quantisers["params"]) == (0.0, [])
    norms = {id(p) for n, p in model.named_parameters() if "norm" in n or n.endswith("bias")}
    assert {id(p) for p in others["params"]} == norms


def test_defaults_follow_the_data_and_options_win() -> None:
    data = open_data("digits")
    usual = recipe_for(data)
    assert (usual.steps, usual.lr, usual.holdout) == (30 * 20, 0.2, 143)
    assert recipe_for(data, epochs=2, batch=100).steps == 24
    assert recipe_for(data, epochs=2, batch=100, holdout=0).steps == 28
    assert recipe_for(data, steps=7, lr=1.5).lr == 1.5
    with pytest.raises(RecipeError, match="both epochs and steps"):
        recipe_for(data, epochs=1, steps=1)
    with pytest.raises(RecipeError, match="ema 1 is not within 0"):
        recipe_for(data, ema=1.0)
    with pytest.raises(DataError, match="1,294 images for training, a batch is 2,000"):
        recipe_for(data, batch=2000)


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
    score, step = Evaluation.__call__, loop.train_step

    def ending(self: Evaluation, *rest: Any) -> tuple[Score, ...]:
        evaluations.append(len(rates))
        if len(evaluations) == evaluation:
            raise Stopped
        return score(self, *rest)

    def counted(*rest: Any) -> list[float]:
        rates.append(rest[-2])
        return step(*rest)

    monkeypatch.setattr(Evaluation, "__call__", ending)
    monkeypatch.setattr(loop, "train_step", counted)
    with pytest.raises(Stopped):
        run(job(folder, save_every=3))
    assert len(rates) == 6 * evaluation
    assert fp32_scores(folder) == {}
    run(job(folder, save_every=3), resume=True)
    assert rates == [RECIPE.lr_at(i) for i in range(12)]
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


def test_an_average_is_exponential() -> None:
    recipe = recipe_for(digits(), steps=2, batch=16, ema=0.9)
    model = load_supernet(PLAN, 1, 10)
    average = average_of(model, recipe)
    assert average is not None
    first = next(model.parameters()).detach().clone()
    average.update_parameters(model)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    average.update_parameters(model)
    torch.testing.assert_close(next(average.module.parameters()), first + 0.1)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    whole: Path, tmp_path: Path
) -> None:
    run(job(tmp_path / "again"))
    assert same(weights(tmp_path / "again"), weights(whole))
    run(job(tmp_path / "other", seed=1))
    assert not same(weights(tmp_path / "other"), weights(whole))


def test_workers_change_nothing(whole: Path, tmp_path: Path) -> None:
    run(job(tmp_path / "run", workers=2))
    assert same(weights(tmp_path / "run"), weights(whole))


def test_an_epoch_sees_every_image_once_and_processes_share_it() -> None:
    data = digits(64, 8)
    recipe = recipe_for(data, epochs=2, batch=16, holdout=0)

    def labels(start: int, world: World) -> list[list[int]]:
        found = batches(data, recipe, 8, start, world, Unreadables(0, pytest.fail))
        return [batch.tolist() for _, batch in found]

    alone = labels(0, World())
    assert [len(b) for b in alone] == [16] * 8
    for epoch in (alone[:4], alone[4:]):
        assert sorted(label for batch in epoch for label in batch) == sorted(
            data.train.labels.tolist()
        )
    assert alone[:4] != alone[4:]
    assert labels(3, World()) == alone[3:]
    first, second = labels(0, World(0, 2)), labels(0, World(1, 2))
    assert [[*a, *b] for a, b in zip(first, second, strict=True)] == [
        b[::2] + b[1::2] for b in alone
    ]


def test_a_finished_run_is_not_trained_on(whole: Path) -> None:
    before = {p.name: p.read_bytes() for p in whole.iterdir()}
    scores = run(job(whole), resume=True, stop=12)
    assert {p.name: p.read_bytes() for p in whole.iterdir()} == before
    logged = json.loads((whole / METRICS).read_text().splitlines()[-1])["scores"]
    assert {s.name: s.to_json() for s in scores} == logged


def test_a_run_directory_explains_itself(whole: Path) -> None:
    names = {p.name for p in whole.iterdir()}
    assert names == {"resolved.space", "plan.json", "run.json", METRICS, CHECKPOINT}
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
        ({"page": ONE}, f'hash is "{PLAN.hash}", this run'),
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
    path.write_text(path.read_text().replace('"threads": 1', '"threads": 64'))
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
    with pytest.raises(CheckpointError, match="is of mini, hash 0000"):
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
    state, path = State(model, optimiser_of(model, RECIPE)), tmp_path / "c.safetensors"
    save_state(path, state, Progress(3), {})
    before = path.read_bytes()
    with torch.no_grad():
        next(model.parameters())[0] = torch.inf
    with pytest.raises(DivergedError, match=r"conv0\.weights\.0 is not finite after step 4"):
        save_state(path, state, Progress(4), {})
    assert path.read_bytes() == before


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
