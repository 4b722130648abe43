"""QAT of a trained supernet: what it begins with, that it can be resumed, and what it refuses."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spacedsl.json_files import sealed_text
from spacedsl.operators.size import pair
from spacedsl_runtime import load_checkpoint, load_supernet
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.elastic.supernet import Supernet
from spacedsl_runtime.errors import CheckpointError, DivergedError, RecipeError, RunError
from spacedsl_runtime.quant.fake import ActivationQuantiser
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.losses import adaptive_alpha_divergence, kl_divergence
from spacedsl_runtime.train.optimise import optimiser_of, set_rate
from spacedsl_runtime.train.quantise import (
    QAT_FOLDER,
    fp32_scores,
    fp32_settings,
    fp32_stamp,
    scales_moved,
)
from spacedsl_runtime.train.recipe import Recipe, held_out, qat_recipe_for, training_part
from spacedsl_runtime.train.run import ABOUT, CHECKPOINT, METRICS, PLAN
from tests.runtime.test_data import write_folders
from tests.runtime.training import (
    ONE,
    PAGE,
    Stopped,
    digits,
    job,
    mini_plan,
    no_file_above,
    run,
    same,
    weights,
)


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished FP32 training."""
    folder = tmp_path_factory.mktemp("fp32") / "run"
    run(job(folder, steps=30, lr=0.2, batch=32, holdout=20))
    return folder


def qat_job(fp32: Path, folder: Path, target: str = "cpu", page: str = PAGE, **more: Any) -> Any:
    recipe = qat_recipe_for(digits(), fp32_settings(fp32), steps=6, batch=16, **more)
    return job(
        folder,
        plan=mini_plan(page, target),
        recipe=recipe,
        fp32=fp32,
        save_every=2,
        evaluate_every=3,
    )


@pytest.fixture(scope="module")
def whole(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed QAT run."""
    folder = tmp_path_factory.mktemp("qat") / QAT_FOLDER
    run(qat_job(fp32, folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_is_the_same_run(stop: int, fp32: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(qat_job(fp32, folder), stop=stop)
    run(qat_job(fp32, folder), resume=True)
    for name in (CHECKPOINT, METRICS):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_averaged_weights_and_quantisers_are_resumed_too(fp32: Path, tmp_path: Path) -> None:
    run(qat_job(fp32, tmp_path / "a", ema=0.5))
    with pytest.raises(Stopped):
        run(qat_job(fp32, tmp_path / "b", ema=0.5), stop=3)
    run(qat_job(fp32, tmp_path / "b", ema=0.5), resume=True)
    found = weights(tmp_path / "a")
    assert same(found, weights(tmp_path / "b"))
    assert any(name.startswith("ema.module.edges.") for name in found)


def test_it_starts_from_the_trained_weights(fp32: Path, tmp_path: Path) -> None:
    """With rates of zero nothing but statistics moves: weights are those of FP32, and accuracy is
    nearly."""
    job = qat_job(fp32, tmp_path / "run", lr=0.0, quantiser_lr=0.0)
    scores = run(job)
    before, after = weights(fp32), weights(tmp_path / "run")
    for name, tensor in before.items():
        if name.startswith("model.") and "running" not in name and "num_batches" not in name:
            inner = f"model.supernet.{name.removeprefix('model.')}"
            assert torch.equal(after[inner], tensor), name
    known = fp32_scores(fp32)
    assert {s.words for s in scores} == set(known)
    for score in scores:
        assert abs(score.top1 - known[score.words]["top1"]) <= 0.15


def test_metrics_say_how_far_scales_moved(fp32: Path, whole: Path, tmp_path: Path) -> None:
    begun, ended = weights(whole), {}
    for name in [n for n in begun if n.startswith("begun.")]:
        ended[name] = abs(float(begun[f"model.{name.removeprefix('begun.')}"] / begun[name]) - 1)
    moved = scales_moved(whole)
    assert moved["largest"] == pytest.approx(max(ended.values()), rel=1e-3)
    assert 0 < moved["median"] < moved["largest"] < 6 * 0.001
    assert moved["median"] == pytest.approx(float(np.median(list(ended.values()))), rel=0.5)
    run(qat_job(fp32, tmp_path / "frozen", quantiser_lr=0.0))
    assert scales_moved(tmp_path / "frozen") == {"median": 0.0, "largest": 0.0}
    assert scales_moved(fp32) == {}


def started_mini() -> QatSupernet:
    qat = QatSupernet(load_supernet(mini_plan(PAGE, "cpu"), 1, 10))
    shapes = qat.covering(random.Random(0))
    qat.start(shapes, [torch.randn(4, 1, *pair(s.resolution)) for s in shapes])
    return qat


def test_weights_and_quantisers_learn_at_rates_of_their_own() -> None:
    qat = started_mini()
    recipe = Recipe(steps=2, batch=8, lr=0.1, warmup=0, weight_decay=1e-4, quantiser_lr=0.001)
    _, others, quantisers = optimiser_of(qat, recipe).param_groups
    assert quantisers["weight_decay"] == others["weight_decay"] == 0
    assert {id(p) for p in quantisers["params"]} == {id(p) for p in qat.quantiser_parameters()}


def test_a_scale_moves_by_a_share_of_itself_however_small_its_gradient() -> None:
    """Gradients that always say the same move it by the rate; those that change their minds, by
    less. An offset moves by as much of the 8-bit range."""
    qat, generator = started_mini(), torch.Generator().manual_seed(0)
    recipe = Recipe(steps=2, batch=8, lr=0.1, warmup=0, weight_decay=1e-4, quantiser_lr=0.01)
    optimiser = optimiser_of(qat, recipe)
    scales = [p for n, p in qat.named_parameters() if n.endswith(".scale")]
    offset = next(
        q for q in qat.edges.values() if isinstance(q, ActivationQuantiser) and not q.fixed
    )
    steady, torn = scales[: len(scales) // 2], scales[len(scales) // 2 :]
    before = [float(p.detach()) for p in scales]
    for step in range(30):
        for p in steady:
            p.grad = 1e-9 * torch.rand((), generator=generator)
        for p in torn:
            p.grad = torch.tensor(1e-3 if step % 2 else -1e-9)
        offset.beta.grad = torch.tensor(-1e-8)
        at, unit = float(offset.beta.detach()), 255 * float(offset.scale.detach())
        set_rate(optimiser, 0.1)
        optimiser.step()
    moved = [float(p.detach()) / b - 1 for p, b in zip(scales, before, strict=True)]
    assert all(-0.27 < m < -0.2 for m in moved[: len(steady)])
    assert all(abs(m) < 0.03 for m in moved[len(steady) :])
    assert float(offset.beta.detach()) - at == pytest.approx(0.01 * unit, rel=0.1)


def test_what_is_not_said_is_the_fp32_trainings(fp32: Path) -> None:
    settings = fp32_settings(fp32)
    recipe = qat_recipe_for(digits(), settings | {"label_smoothing": 0.2, "seed": 5}, epochs=2)
    assert (recipe.label_smoothing, recipe.seed, recipe.holdout) == (0.2, 5, 20)
    assert recipe.lr == pytest.approx(0.1 * settings["lr"])
    assert recipe.steps == 2 * (180 // 32)
    assert qat_recipe_for(digits(), settings, batch=16).lr == pytest.approx(0.05 * settings["lr"])
    with pytest.raises(RecipeError, match="settings of the FP32 training are damaged"):
        qat_recipe_for(digits(), {})


def test_photos_take_no_larger_batch_than_the_fp32_training(fp32: Path, tmp_path: Path) -> None:
    write_folders(tmp_path, count=30)
    photos = open_data(f"imagefolder:{tmp_path}")
    settings = fp32_settings(fp32) | {"holdout": 6}
    assert qat_recipe_for(photos, settings | {"batch": 16}, steps=4).batch == 16
    assert qat_recipe_for(photos, settings | {"batch": 16}, steps=4, batch=20).batch == 20


def test_another_set_of_8_bit_tensors_is_refused(fp32: Path, tmp_path: Path) -> None:
    """vnni and cpu keep the same tensors; a target whose swish is another op does not."""
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(qat_job(fp32, folder), stop=3)
    run(qat_job(fp32, folder, "vnni"), resume=True)
    path = folder / PLAN
    plan = json.loads(path.read_text())
    del plan["checksum"]
    plan["rules"] |= {
        "target": "phone",
        "acts": [[act, "float"] for act, _ in plan["rules"]["acts"]],
    }
    path.write_text(sealed_text(json.dumps(plan)))
    with pytest.raises(CheckpointError, match=r"trained for phone .* plan is for cpu"):
        run(qat_job(fp32, folder), resume=True)


def test_what_it_needs_of_the_fp32_training(fp32: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no FP32 training"):
        fp32_settings(tmp_path)
    hash = mini_plan().hash
    assert len(fp32_stamp(fp32, hash)) == 64
    with pytest.raises(RunError, match=r"of space .*; the page is 00"):
        fp32_stamp(fp32, "00")
    begun = tmp_path / "begun"
    with pytest.raises(Stopped):
        run(job(begun), stop=3)
    with pytest.raises(RunError, match="has no checkpoint of its FP32 training yet"):
        fp32_stamp(begun, hash)
    with pytest.raises(Stopped):
        run(job(begun), resume=True, stop=7)
    with pytest.raises(RunError, match="is at step 5 of 12"):
        run(qat_job(begun, tmp_path / "no"))
    assert not (tmp_path / "no").exists()
    whole = (begun / CHECKPOINT).read_bytes()
    (begun / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cut short"):
        fp32_stamp(begun, hash)
    (begun / ABOUT).write_text("{}")
    with pytest.raises(RunError, match=r"run\.json"):
        fp32_settings(begun)


def test_other_settings_and_other_fp32_weights_are_refused(
    fp32: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"quantiser_lr is 0\.001, this run's is 0\.01"):
        run(qat_job(fp32, whole, quantiser_lr=0.01), resume=True)
    other = tmp_path / "other"
    run(job(other, steps=30, lr=0.2, batch=32, holdout=20, seed=1))
    with pytest.raises(RunError, match="the FP32 checkpoint changed since"):
        run(qat_job(other, whole, seed=0), resume=True)


def test_a_loss_that_is_no_number_stops(fp32: Path, tmp_path: Path) -> None:
    job = replace(qat_job(fp32, tmp_path / "run", lr=1e30, warmup_epochs=0.0), save_every=6)
    with pytest.raises(DivergedError, match=r"at step \d+, subnet `"):
        run(job)
    assert (tmp_path / "run" / "failed.subnet.json").is_file()


def test_a_full_disk_leaves_the_last_checkpoint(fp32: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(qat_job(fp32, folder), stop=3)
    before = (folder / CHECKPOINT).read_bytes()
    with no_file_above(len(before) // 2), pytest.raises(CheckpointError, match="cannot write"):
        run(qat_job(fp32, folder), resume=True)
    assert (folder / CHECKPOINT).read_bytes() == before
    run(qat_job(fp32, folder), resume=True)
    assert same(weights(folder), weights(whole))


def test_checkpoints_of_trainings_load_as_any_other(fp32: Path, whole: Path) -> None:
    supernet = load_supernet(mini_plan(PAGE, "cpu"), 1, 10)
    assert isinstance(supernet, Supernet)
    load_checkpoint(fp32 / CHECKPOINT, supernet)
    qat = QatSupernet(supernet)
    load_checkpoint(whole / CHECKPOINT, qat)
    for name, tensor in qat.state_dict().items():
        assert torch.equal(tensor, weights(whole)[f"model.{name}"])
    one = QatSupernet(load_supernet(mini_plan(ONE, "cpu"), 1, 10))
    with pytest.raises(CheckpointError, match=r"is of mini, hash .*of one, hash"):
        load_checkpoint(whole / CHECKPOINT, one)


def test_held_out_images_are_not_trained_on() -> None:
    data = digits(64, 8)
    kept, held = training_part(data, 10).train, held_out(data, 10)
    assert (len(kept.labels), len(held.labels)) == (54, 10)
    seen = [image.tobytes() for s in (kept, held) for image in map(s.image, range(len(s.labels)))]
    assert len(seen) == 64
    assert {held_out(data, 5).image(i).tobytes() for i in range(5)} <= set(seen[54:])
    assert training_part(data, 0).train is data.train


def test_adaptive_alpha_divergence_is_alphanets() -> None:
    """Against the definition with autograd, where no ratio is clipped."""
    generator = torch.Generator().manual_seed(0)
    teacher = 0.3 * torch.randn(16, 5, generator=generator)
    student = (0.3 * torch.randn(16, 5, generator=generator)).requires_grad_()
    loss = adaptive_alpha_divergence(student, teacher)
    (found,) = torch.autograd.grad(loss, student)
    p, q = teacher.softmax(1), student.softmax(1)
    least = (q * ((q / p) - 1) / 2).sum(1)
    kl = (p * (p / q).log()).sum(1)
    expected = torch.where(least > kl, least, kl).mean()
    (wanted,) = torch.autograd.grad(expected, student)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-3)
    far = torch.tensor([[30.0, 0.0]], requires_grad=True)
    torch.autograd.backward(adaptive_alpha_divergence(far, torch.tensor([[0.0, 30.0]])))
    assert far.grad is not None
    assert bool(far.grad.isfinite().all())
    assert adaptive_alpha_divergence(teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    usual = F.kl_div(student.log_softmax(1), p, reduction="batchmean")
    assert kl_divergence(student, teacher).item() == pytest.approx(usual.item(), rel=1e-5)


def test_alpha_divergence_trains_too(tmp_path: Path) -> None:
    run(job(tmp_path / "alpha", distill_loss="alpha"))
    run(job(tmp_path / "kl"))
    assert not same(weights(tmp_path / "alpha"), weights(tmp_path / "kl"))
