"""Training, distillation and evaluation on every device that is here: the CPU, and CUDA where there
is a card. `scripts/gpu-check` runs this file on a machine that has one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spacedsl.api import load_target
from spacedsl.compiler.supernet import SupernetPlan, bkd_plans
from spacedsl.ir.space import Space
from spacedsl.operators.size import Size, pair
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.distill.loop import BkdJob, distill
from spacedsl_runtime.distill.teacher import Calibration
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import DivergedError, RecipeError
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.device import device_of, kernels
from spacedsl_runtime.train.evaluate import Evaluation
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Precision, Recipe, recipe_for
from spacedsl_runtime.train.run import METRICS
from spacedsl_runtime.train.state import State, Trained
from spacedsl_runtime.train.step import sandwich, train_step
from tests.runtime.support import at_resolution, target_plan
from tests.runtime.training import PAGE, Stopped, digits, job, mini_plan, run, same, weights
from tests.support import item_of

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
MINI = mini_plan(PAGE.replace("dropout 0.2", ""), "cpu")
RECIPE = Recipe(steps=12, batch=32, lr=0.1, warmup=0, weight_decay=1e-4, quantiser_lr=1e-3)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    name: str = request.param
    return device_of(name)


def batch(plan: SupernetPlan, count: int = 32, channels: int = 1) -> tuple[Tensor, Tensor]:
    size = max(plan.resolutions)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, channels, *pair(size), generator=generator)
    return images, torch.arange(count) % 10


def model_of(plan: SupernetPlan, kind: str, channels: int = 1, recipe: Recipe = RECIPE) -> Trained:
    supernet = load_supernet(plan, channels, 10)
    if kind == "fp32":
        return supernet.train()
    qat = QatSupernet(supernet)
    images, _ = batch(plan, 4, channels)
    steps = (sandwich(plan, recipe, i).values() for i in range(3))
    chosen = qat.covering_all([subnet for step in steps for subnet in step])
    qat.start(chosen, [images[:, :, : s.resolution, : s.resolution] for s in chosen])
    return qat.train()


def after_steps(
    model: Trained,
    plan: SupernetPlan,
    device: torch.device,
    recipe: Recipe = RECIPE,
    steps: int = 2,
    count: int = 32,
    **more: Any,
) -> tuple[Trained, list[Tensor]]:
    """A copy of the model on a device after some steps, and the losses."""
    twin = copy.deepcopy(model).to(device)
    state = State(twin, optimiser_of(twin, recipe))
    channels = twin.supernet.channels if isinstance(twin, QatSupernet) else twin.channels
    images, labels = (t.to(device) for t in batch(plan, count, channels))
    torch.manual_seed(0)  # of dropout
    with kernels(device, recipe.precision, deterministic=True):
        losses = [
            train_step(
                state,
                images,
                labels,
                sandwich(plan, recipe, i),
                recipe,
                0.05,
                recipe.distill,
                World(),
                **more,
            )
            for i in range(steps)
        ]
    return twin, [loss.cpu() for loss in losses]


def flat(model: Trained) -> Tensor:
    return torch.cat([t.detach().float().cpu().flatten() for t in model.state_dict().values()])


@pytest.mark.parametrize("kind", ["fp32", "qat"])
def test_a_step_is_the_same_on_every_device(device: torch.device, kind: str) -> None:
    """As far as rounding allows: losses of the second step depend on all gradients of the first."""
    model = model_of(MINI, kind)
    here, expected = after_steps(model, MINI, torch.device("cpu"))
    there, found = after_steps(model, MINI, device)
    for mine, theirs in zip(expected, found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3)
    moved = (flat(here) - flat(model)).norm()
    assert (flat(here) - flat(there)).norm() < 0.02 * moved


@pytest.mark.parametrize("kind", ["fp32", "qat"])
def test_bfloat16_is_near_float32(device: torch.device, kind: str) -> None:
    model = model_of(MINI, kind)
    _, expected = after_steps(model, MINI, device, steps=1)
    there, found = after_steps(model, MINI, device, replace(RECIPE, precision="bf16"), steps=1)
    torch.testing.assert_close(found[0], expected[0], rtol=0.05, atol=0.05)
    assert not torch.equal(found[0], expected[0])  # it is another arithmetic
    assert all(p.dtype == torch.float32 for p in there.parameters())


@pytest.mark.parametrize("kind", ["fp32", "qat"])
@pytest.mark.parametrize("space", ["mini", "mbv3"])
def test_recomputed_activations_change_no_bit(device: torch.device, kind: str, space: str) -> None:
    """Running statistics of batch norms included, which would move twice otherwise."""
    if space == "mini":
        plan, channels, recipe, count = MINI, 1, RECIPE, 32
    else:
        plan, channels, count = (
            at_resolution(target_plan("baselines/fashion-mbv3"), 16),
            1,
            4,
        )
        recipe = replace(RECIPE, random_subnets=0)
    model = model_of(plan, kind, channels, recipe)
    kept, losses = after_steps(model, plan, device, recipe, count=count)
    again, repeated = after_steps(model, plan, device, recipe, count=count, recompute=True)
    assert all(map(torch.equal, losses, repeated))
    assert torch.equal(flat(kept), flat(again))
    norms = [m for m in again.modules() if isinstance(m, ElasticNorm)]
    assert all(norm.momentum > 0 for norm in norms)


def test_recomputed_activations_take_less_memory(device: torch.device) -> None:
    plan = at_resolution(target_plan("vnni"), 64)
    model = load_supernet(plan, 3, 10).train().to(device)
    images = batch(plan, 4, 3)[0].to(device)
    subnet = model.largest()

    def kept(recompute: bool) -> int:
        seen: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            logits = model(images, subnet, True, recompute)
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        assert logits.requires_grad
        return sum(size for at, size in seen.items() if at not in own)

    assert kept(True) < kept(False) / 2


def test_micro_batches_add_up_to_the_batch(device: torch.device) -> None:
    """Of a network without batch norms that would tell them apart: halves that are equal."""
    model = model_of(MINI, "fp32")
    twin = copy.deepcopy(model).to(device)
    images, labels = (t.to(device) for t in batch(MINI, 16))
    double, twice = images.repeat(2, 1, 1, 1), labels.repeat(2)
    subnets = sandwich(MINI, RECIPE, 0)
    found = []
    for recipe in (RECIPE, replace(RECIPE, micro_batch=16)):
        own = copy.deepcopy(twin)
        state = State(own, optimiser_of(own, recipe))
        losses = train_step(state, double, twice, subnets, recipe, 0.05, recipe.distill, World())
        found.append(
            (losses.cpu(), torch.cat([p.detach().cpu().flatten() for p in own.parameters()]))
        )
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_gives_the_same_bytes_again_and_after_a_stop(
    device: torch.device, precision: Precision, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"device": device.type, "precision": precision}
    for name, stop in (("a", 0), ("b", 8)):
        if stop:
            with pytest.raises(Stopped):
                run(job(tmp_path / name, **settings), stop=stop)
        run(job(tmp_path / name, **settings), resume=True)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert (tmp_path / "a" / METRICS).read_bytes() == (tmp_path / "b" / METRICS).read_bytes()


def test_quantised_training_follows_on_the_same_device(
    device: torch.device, tmp_path: Path
) -> None:
    run(job(tmp_path, device=device.type))
    recipe = recipe_for(digits(), steps=4, batch=16, lr=0.01, quantiser_lr=1e-3)
    plan = mini_plan(PAGE, "cpu")
    qat = job(tmp_path / "qat", device=device.type, fp32=tmp_path, plan=plan, recipe=recipe)
    scores = run(qat)
    assert all(0 <= score.top1 <= 1 and score.images == 40 for score in scores)


def test_a_loss_that_is_no_number_leaves_a_good_checkpoint(
    device: torch.device, tmp_path: Path
) -> None:
    """Also where it is noticed a step later."""
    with pytest.raises(DivergedError):
        run(job(tmp_path, device=device.type, lr=1e30, save_every=1, warmup_epochs=0))
    if (tmp_path / "checkpoint.safetensors").exists():
        assert all(t.isfinite().all() for t in weights(tmp_path).values())


def test_a_distillation_runs_there(device: torch.device, tmp_path: Path) -> None:
    run(job(tmp_path / "teacher", steps=2, evaluate_every=2))
    teacher = open_teacher(f"checkpoint:{tmp_path / 'teacher'}", _calibration(device), device)
    plan = _stage_plan()
    recipe = Recipe(steps=3, batch=16, lr=0.005, warmup=0, weight_decay=1e-4)
    lsq = replace(recipe, steps=2, lr=0.00025)
    task = BkdJob(plan, (0, 1), plan.resolutions, 2, recipe, lsq)
    seen: list[int] = []
    rows = list(
        distill(
            task,
            teacher,
            digits(),
            Unreadables(0, print),
            lambda step, losses: seen.append(step),
            device,
        )
    )
    assert seen == [1, 2, 3, 4, 5]
    assert rows
    assert all(row.loss > 0 for row in rows)
    again = distill(task, teacher, digits(), Unreadables(0, print), lambda *_: None, device)
    assert list(again) == rows


def _calibration(device: torch.device) -> Calibration:
    def found(normalise: Normalise, resolution: Size) -> Iterable[Tensor]:
        evaluation = Evaluation(digits(), normalise, 0, device, Unreadables(0, print))
        return evaluation.calibration(resolution)

    return found


def _stage_plan() -> SupernetPlan:
    space = item_of(PAGE, "mini")
    assert isinstance(space, Space)
    return next(bkd_plans(space, load_target("cpu")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="no CUDA device here"):
        device_of("cuda")
