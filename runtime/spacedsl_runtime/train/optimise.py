"""Optimiser and averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spacedsl.compiler.int8 import QMAX
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.train.recipe import Recipe

SHARE = "share"
"""A group's learning rate over that of the weights."""


def optimiser_of(model: nn.Module, recipe: Recipe) -> SGD:
    """SGD with Nesterov momentum. Weights decay; norms, biases and quantisers, which have at most
    one dimension, do not. Quantisers, which are scalars, have their own rate and rule
    (`_by_share`)."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    quantisers = [p for p in model.parameters() if p.dim() == 0]
    own = (1 - recipe.momentum) * recipe.quantiser_lr / recipe.lr if recipe.lr else 0.0
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay, SHARE: 1.0},
        {"params": others, "weight_decay": 0.0, SHARE: 1.0},
        {"params": quantisers, "weight_decay": 0.0, SHARE: own},
    ]
    nesterov = recipe.momentum > 0
    cuda = next(model.parameters()).is_cuda
    optimiser = SGD(
        groups,
        recipe.lr,
        momentum=recipe.momentum,
        nesterov=nesterov,
        foreach=not cuda,
        fused=cuda,
    )
    if cuda and recipe.momentum:  # the fused kernel takes momenta of all parameters, or of none
        for parameter in model.parameters():
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    optimiser.register_step_pre_hook(_by_share(model))
    return optimiser


Hook = Callable[[Optimizer, Any, Any], None]


def _by_share(model: nn.Module) -> Hook:
    """Before a step of the optimiser, the gradient of a scale becomes its sign times the scale,
    that of an offset its sign times the 8-bit range: a rate is then the share by which a scale, or
    an end of a range, moves in a step. The sizes of these gradients differ a thousandfold between
    layers and are mostly noise, so no rate fits them all."""
    quantisers = [
        m for m in model.modules() if isinstance(m, ActivationQuantiser | WeightQuantiser)
    ]
    offsets = [m for m in quantisers if isinstance(m, ActivationQuantiser)]

    def hook(optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        with torch.no_grad():
            _sign_times([(m.scale, m.scale) for m in quantisers])
            ranged = _sign_times([(m.beta, m.scale) for m in offsets])
            if ranged:
                torch._foreach_mul_(ranged, float(QMAX))

    return hook


def _sign_times(pairs: Sequence[tuple[nn.Parameter, nn.Parameter]]) -> list[Tensor]:
    """The gradients of the first, where there are any, in place: their signs times the second."""
    grads = [p.grad for p, _ in pairs if p.grad is not None]
    if grads:
        torch._foreach_sign_(grads)
        torch._foreach_mul_(grads, [unit for p, unit in pairs if p.grad is not None])
    return grads


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
