"""A training step: the sandwich rule with in-place distillation (BigNAS, Yu et al., ECCV 2020).

The largest subnet learns the labels, then the smallest and some random ones learn what the largest
says; their gradients are added up and the optimiser takes one step. Nothing in a step waits for
the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.train.batches import resized
from spacedsl_runtime.train.device import autocast
from spacedsl_runtime.train.evaluate import distinct
from spacedsl_runtime.train.losses import adaptive_alpha_divergence, kl_divergence
from spacedsl_runtime.train.optimise import set_rate
from spacedsl_runtime.train.parallel import World, average
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.train.seeds import Use, choices
from spacedsl_runtime.train.state import State

DIVERGENCES = {"kl": kl_divergence, "alpha": adaptive_alpha_divergence}


def sandwich(plan: SupernetPlan, recipe: Recipe, step: int) -> dict[str, Subnet]:
    """The subnets of a step by name: largest, smallest, random ones; equal ones once."""
    rng = choices(recipe.seed, Use.subnets, step)
    found = {"largest": plan.largest(), "smallest": plan.smallest()}
    found |= {f"random{i}": plan.sample(rng) for i in range(recipe.random_subnets)}
    return distinct(found)


def train_step(
    state: State,
    images: Tensor,
    labels: Tensor,
    subnets: Mapping[str, Subnet],
    recipe: Recipe,
    rate: float,
    distill: float,
    world: World,
    recompute: bool = False,
) -> Tensor:
    """One step on images (N, C, S, S) and labels (N,) with learning rate `rate` and `distill`
    as the share of in-place distillation; the loss of every subnet (paths,), the largest first, on
    the images' device and over all processes. `recompute`: activations within blocks are computed
    again in the backward pass, not kept."""
    model, optimiser = state.model, state.optimiser
    optimiser.zero_grad(set_to_none=True)
    parts = list(_accumulated(state, images, labels, subnets, recipe, distill, recompute))
    losses = average(model, torch.stack(parts).sum(0), world)
    nn.utils.clip_grad_value_(model.parameters(), recipe.clip)
    set_rate(optimiser, rate)
    optimiser.step()
    if state.average is not None:
        state.average.update_parameters(model)
    return losses


def _accumulated(
    state: State,
    images: Tensor,
    labels: Tensor,
    subnets: Mapping[str, Subnet],
    recipe: Recipe,
    distill: float,
    recompute: bool,
) -> Iterator[Tensor]:
    """Adds up the gradients of the micro-batches; what each adds to the losses (paths,)."""
    size = recipe.micro_batch or len(images)
    for x, y in zip(torch.split(images, size), torch.split(labels, size), strict=True):
        share = len(x) / len(images)
        losses: list[Tensor] = []
        teacher: Tensor | None = None
        for subnet in subnets.values():
            with autocast(images.device, recipe.precision):
                logits = state.model(
                    resized(x, subnet.resolution), subnet, teacher is None, recompute
                ).float()
                loss = _loss(logits, y, teacher, recipe, distill) * share
            torch.autograd.backward(loss)
            losses.append(loss.detach())
            if teacher is None:
                teacher = logits.detach()
        yield torch.stack(losses)


def _loss(
    logits: Tensor, labels: Tensor, teacher: Tensor | None, recipe: Recipe, distill: float
) -> Tensor:
    """Logits (N, classes) against labels, or by a divergence against the largest's."""
    softly = 0.0 if teacher is None else distill
    parts: list[Tensor] = []
    if softly < 1:
        hard = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        parts.append((1 - softly) * hard)
    if teacher is not None and softly > 0:
        divergence = DIVERGENCES[recipe.distill_loss]
        parts.append(softly * divergence(logits, teacher))
    return torch.stack(parts).sum()
