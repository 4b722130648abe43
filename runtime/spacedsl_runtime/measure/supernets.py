"""Seconds and memory of training steps of a supernet in FP32 and in 8 bits, and seconds of
evaluating a subnet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.data.split import Data, Unreadables, unreadable_limit
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.measure.few import held, of_few
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise, batches, resized
from spacedsl_runtime.train.device import autocast
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Precision, Recipe
from spacedsl_runtime.train.seeds import Use, choices

STEPS = 2
"""Of each kind: the first one warms up, the second is timed."""


@dataclass(frozen=True)
class SupernetCost:
    """Seconds of one image in a step in FP32 and in 8 bits, its reading included, and through a
    random subnet in 8 bits; bytes that a batch of both trainings holds more than this process had
    to measure it; how many weights there are."""

    image_of_step: float
    image_of_qat_step: float
    image: float
    more: int
    more_of_qat: int
    weights: int


def time_supernet(
    plan: SupernetPlan,
    data: Data,
    recipes: tuple[Recipe, Recipe],
    normalise: Normalise,
    warn: Callable[[str], None],
    device: torch.device,
) -> SupernetCost:
    """Sandwich steps on real images, a few of a batch where the device is a CPU; `plan` names a
    target, and `recipes` are those of both trainings. Raises `DataError`."""

    def measured(count: int) -> SupernetCost:
        recipe, qat_recipe = recipes
        supernet = load_supernet(plan, data.channels, data.classes or None).to(device).train()
        rng = choices(recipe.seed, Use.subnets)
        subnets = [supernet.largest(), supernet.smallest()]
        subnets += [supernet.sample(rng) for _ in range(recipe.random_subnets)]
        unreadables = Unreadables(unreadable_limit(len(data.train.labels)), warn)
        size = max(plan.resolutions)
        start = time.perf_counter()
        found = batches(data, replace(recipe, batch=count), size, 0, World(), unreadables)
        images, labels = next(found)
        reading = time.perf_counter() - start
        x, labels = normalise(images.to(device)), labels.to(device)
        with held(len(x)) as maps:
            step = _seconds(supernet, subnets, x, labels, recipe.precision)
        qat = QatSupernet(supernet)
        qat.start(qat.covering_all(subnets), _batches_for(qat, subnets, x))
        with held(len(x)) as qat_maps:
            qat_step = _seconds(qat.train(), subnets, x, labels, "fp32")
        weights = sum(p.numel() for p in supernet.parameters())
        each, each_qat = (reading + step) / len(x), (reading + qat_step) / len(x)
        more, more_of_qat = (
            seen.more(settings.micro_batch or settings.batch)
            for seen, settings in ((maps, recipe), (qat_maps, qat_recipe))
        )
        image = _image(qat, subnets[-1], x)
        return SupernetCost(each, each_qat, image, more, more_of_qat, weights)

    return of_few(measured, recipes[0].batch, device)


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
    took = 0.0
    for _ in range(STEPS):
        start = _now(x)
        with torch.no_grad():
            network(images)
        took = _now(x) - start
    return took / len(images)
