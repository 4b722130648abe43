"""Seconds of training steps of a supernet in FP32 and in 8 bits, and of evaluating a subnet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.data.split import Data, Unreadables, unreadable_limit
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.measure.memory import bytes_per_image, free_bytes, step_bytes
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise, batches, resized
from spacedsl_runtime.train.device import autocast
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Precision, Recipe
from spacedsl_runtime.train.seeds import Use, choices

FEW = 2
"""Images that memory is measured with: batch norm wants more than one."""
SHARE = 0.8
"""Of what is free; the rest is for what nobody counts."""
STEPS = 2
"""Of each kind: the first one warms up, the second is timed."""


@dataclass(frozen=True)
class SupernetSeconds:
    """Of one image in a step in FP32 and in 8 bits, its reading included, and through a random
    subnet in 8 bits; how many weights there are, the bytes that steps of a batch need, and those
    that were free here, None where nobody says."""

    image_of_step: float
    image_of_qat_step: float
    image: float
    weights: int
    step_bytes: int
    qat_step_bytes: int
    free: int | None


def time_supernet(
    plan: SupernetPlan,
    data: Data,
    recipe: Recipe,
    normalise: Normalise,
    warn: Callable[[str], None],
    device: torch.device,
) -> SupernetSeconds:
    """Sandwich steps on real batches, of fewer images where not all of a batch fit into memory;
    `plan` names a target. Raises `DataError`."""
    supernet = load_supernet(plan, data.channels, data.classes or None).to(device).train()
    rng = choices(recipe.seed, Use.subnets)
    subnets = [supernet.largest(), supernet.smallest()]
    subnets += [supernet.sample(rng) for _ in range(recipe.random_subnets)]
    unreadables = Unreadables(unreadable_limit(len(data.train.labels)), warn)
    size = max(plan.resolutions)
    start = time.perf_counter()
    found = batches(data, recipe, size, 0, World(), unreadables)
    images, labels = next(found)
    reading = time.perf_counter() - start
    few, labels = normalise(images[:FEW].to(device)), labels.to(device)
    qat = QatSupernet(supernet)
    qat.start(qat.covering_all(subnets), _batches_for(qat, subnets, few))
    of_image = _kept(supernet, subnets[0], few, labels)
    of_qat_image = _kept(qat.train(), subnets[0], few, labels)
    weights, free = sum(p.numel() for p in supernet.parameters()), free_bytes(device)
    fit = len(images)
    if free is not None:
        fit = min(fit, int(SHARE * free) // (of_image + of_qat_image + 1))
    x = normalise(images[: max(FEW, fit)].to(device))
    step = _seconds(supernet, subnets, x, labels[: len(x)], recipe.precision)
    qat_step = _seconds(qat, subnets, x, labels[: len(x)], "fp32")
    reading /= len(images)
    return SupernetSeconds(
        reading + step / len(x),
        reading + qat_step / len(x),
        _image(qat, subnets[-1], x),
        weights,
        step_bytes(len(images), of_image, weights),
        step_bytes(len(images), of_qat_image, weights),
        free,
    )


def _kept(model: Supernet | QatSupernet, subnet: Subnet, x: Tensor, labels: Tensor) -> int:
    """Bytes of an image, of the greatest subnet."""

    def loss_of(images: Tensor) -> Tensor:
        logits = model(resized(images, subnet.resolution), subnet)
        return F.cross_entropy(logits, labels[: len(images)])

    return bytes_per_image(model, loss_of, x)


def _batches_for(qat: QatSupernet, subnets: list[Subnet], x: Tensor) -> list[Tensor]:
    return [resized(x, subnet.resolution) for subnet in qat.covering_all(subnets)]


def _seconds(
    model: Supernet | QatSupernet,
    subnets: list[Subnet],
    x: Tensor,
    labels: Tensor,
    precision: Precision,
) -> float:
    """Of the last of some steps."""
    took = 0.0
    for _ in range(STEPS):
        start = _now(x)
        for subnet in subnets:
            with autocast(x.device, precision):
                loss = F.cross_entropy(model(resized(x, subnet.resolution), subnet), labels)
            torch.autograd.backward(loss)
        for parameter in model.parameters():
            parameter.grad = None
        took = _now(x) - start
    return took


def _now(x: Tensor) -> float:
    """The time once the device of `x` has done everything so far."""
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter()


def _image(qat: QatSupernet, subnet: Subnet, x: Tensor) -> float:
    network: nn.Module = qat.eval().extract(subnet)
    images = resized(x, subnet.resolution)
    start = _now(x)
    with torch.no_grad():
        network(images)
    return (_now(x) - start) / len(images)
