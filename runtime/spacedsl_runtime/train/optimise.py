"""Optimiser and averaged weights."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spacedsl_runtime.train.recipe import Recipe


def optimiser_of(model: nn.Module, recipe: Recipe) -> SGD:
    """SGD with Nesterov momentum. Weights decay; norms, biases and quantisers, which have at most
    one dimension, do not."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    nesterov = recipe.momentum > 0
    return SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=nesterov)


def average_of(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The exponential moving average of the model's weights, None for a decay of 0."""
    if not recipe.ema:
        return None
    average_by = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average_by)
