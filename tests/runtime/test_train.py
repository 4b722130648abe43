"""Training: a step is the method's, and so are its rates, its batches and its defaults."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import (
    DataError,
    RecipeError,
)
from spacedsl_runtime.train.batches import batches, resized
from spacedsl_runtime.train.optimise import average_of, optimiser_of
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import (
    DISTILL_WARMUP,
    Recipe,
    qat_recipe_for,
    recipe_for,
)
from spacedsl_runtime.train.state import State
from spacedsl_runtime.train.step import sandwich, train_step
from tests.runtime.training import ONE, PLAN, digits, job, mini_plan, run, usual_recipe

LEARNS: dict[str, Any] = {"steps": 80, "batch": 32, "lr": 0.3, "warmup_epochs": 0.5}


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
    subnets = sandwich(PLAN, usual_recipe(), 3)
    assert list(subnets) == ["largest", "smallest", "random0", "random1"]
    state = State(model, optimiser_of(model, usual_recipe()))
    torch.manual_seed(7)
    losses = train_step(
        state, images, labels, subnets, usual_recipe(), 0.05, usual_recipe().distill, World()
    )

    torch.manual_seed(7)
    teacher = twin(images, subnets["largest"])
    expected = [F.cross_entropy(teacher, labels, label_smoothing=0.1)]
    target = teacher.detach().softmax(1)
    for subnet in list(subnets.values())[1:]:
        answer = twin(resized(images, subnet.resolution), subnet, dropout=False)
        ratio = target.log() - answer.log_softmax(1)
        expected.append((target * ratio).sum(1).mean())
    torch.autograd.backward(torch.stack(expected).sum())
    assert losses.tolist() == pytest.approx([float(x.detach()) for x in expected], abs=1e-6)
    for (name, after), before in zip(model.named_parameters(), twin.parameters(), strict=True):
        if before.grad is None:
            assert torch.equal(after, before), name
            continue
        grad = before.grad.clamp(-1, 1)
        grad = grad + (usual_recipe().weight_decay * before if before.dim() > 1 else 0)
        moved = before - 0.05 * 1.9 * grad  # Nesterov's first step
        torch.testing.assert_close(after, moved.detach(), rtol=1e-4, atol=1e-6)


def test_distillation_waits_for_a_largest_that_has_learnt() -> None:
    """The share of distillation rises over some steps, as many as the learning rate's at least; QAT
    begins with a largest subnet that knows."""
    recipe = recipe_for(digits(), steps=1000, batch=16)
    assert recipe.distill_warmup == max(DISTILL_WARMUP, recipe.warmup)
    assert recipe.distill_at(0) == pytest.approx(1 / recipe.distill_warmup)
    assert recipe.distill_at(recipe.distill_warmup - 1) == recipe.distill_at(999) == 1
    slow = recipe_for(digits(), steps=1000, batch=16, distill=0.5, warmup_epochs=40)
    assert slow.distill_warmup == slow.warmup > DISTILL_WARMUP
    assert slow.distill_at(slow.warmup // 2) == pytest.approx(0.25, abs=0.01)
    assert recipe_for(digits(), steps=10, distill_warmup_epochs=0).distill_at(0) == 1
    assert qat_recipe_for(digits(), vars(recipe), steps=10).distill_at(0) == 1


def test_labels_alone_where_nothing_is_distilled() -> None:
    recipe = recipe_for(digits(), steps=12, batch=16, distill=0.0)
    model = load_supernet(PLAN, 1, 10).train()
    images, labels = torch.randn(16, 1, 12, 12), torch.randint(10, (16,))
    subnets = sandwich(PLAN, recipe, 0)
    state = State(model, optimiser_of(model, recipe))
    twin = copy.deepcopy(model)
    losses = train_step(state, images, labels, subnets, recipe, 0.0, recipe.distill, World())
    small = subnets["smallest"]
    logits = twin(resized(images, small.resolution), small, dropout=False)
    hard = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert float(losses[1]) == pytest.approx(float(hard.detach()), rel=1e-5)


def test_a_space_of_one_network_trains_that_network(tmp_path: Path) -> None:
    plan = mini_plan(ONE)
    assert list(sandwich(plan, usual_recipe(), 0)) == ["largest"]
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
    weights, others, quantisers = optimiser_of(model, usual_recipe()).param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (usual_recipe().weight_decay, 0.0)
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
