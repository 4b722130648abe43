"""Optimiser and averaged weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spacedsl_runtime.train.recipe import Recipe

SHARE = "share"
"""A group's learning rate over that of the weights."""


def optimiser_of(model: nn.Module, recipe: Recipe) -> SGD:
    """SGD with Nesterov momentum. Weights decay; norms, biases and quantisers, which have at most
    one dimension, do not. Quantisers, which are scalars, have their own rate."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    quantisers = [p for p in model.parameters() if p.dim() == 0]
    own = recipe.quantiser_lr / recipe.lr if recipe.lr else 0.0
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay, SHARE: 1.0},
        {"params": others, "weight_decay": 0.0, SHARE: 1.0},
        {"params": quantisers, "weight_decay": 0.0, SHARE: own},
    ]
    nesterov = recipe.momentum > 0
    fused = next(model.parameters()).is_cuda or None
    optimiser = SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused)
    if fused and recipe.momentum:  # the fused kernel takes momenta of all parameters, or of none
        for parameter in model.parameters():
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimiser


def set_rate(optimiser: SGD, rate: float) -> None:
    """Set the learning rate of the weights, and those of the others with it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group[SHARE]


def average_of(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The exponential moving average of the model's weights, None for a decay of 0."""
    if not recipe.ema:
        return None
    average_by = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average_by)
