"""Supernets of library pages for the runtime's tests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from spacedsl.api import load_target
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.supernet import SupernetPlan as Plan
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.compiler.supernet_file import plan_json as json_of
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.operators.size import pair
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from tests.support import PAGES, library_item, library_space, page_id

SPACES = sorted(
    page_id(p)
    for p in PAGES
    if "std" not in p.parts and isinstance(library_item(page_id(p)), Space)
)
ONE_SPACES = [name for name in SPACES if library_space(name).kind == "space"]
HYPERSPACES = [name for name in SPACES if library_space(name).kind == "hyperspace"]


def plan_json(space: Space, target: Target | None = None) -> dict[str, Any]:
    return json_of(supernet_plan(space, target))


@cache
def plan_of(name: str) -> Plan:
    return supernet_plan(library_space(name))


@cache
def target_plan(name: str, target: str = "vnni") -> Plan:
    return supernet_plan(library_space(name), load_target(target))


def at_resolution(plan: Plan, pixels: int) -> Plan:
    """The plan of the same supernet for images of one size."""
    return replace(plan, space=plan.space.model_copy(update={"resolutions": (pixels,)}))


@cache
def supernet_of(name: str) -> Supernet:
    """In eval mode, with batch norms that are not the identity."""
    supernet = load_supernet(plan_of(name))
    shake(supernet)
    return supernet.eval()


def started(
    plan: Plan | dict[str, Any],
    subnets: Sequence[Subnet] = (),
    seed: int = 0,
    channels: int | None = None,
    classes: int | None = None,
) -> QatSupernet:
    """In eval mode, every batch norm shaken, quantisers started on random images."""
    supernet = load_supernet(plan, channels, classes, seed)
    shake(supernet)
    qat = QatSupernet(supernet)
    chosen = list(subnets) or qat.covering(random.Random(seed))
    qat.start(chosen, [images(4, s, supernet.channels) for s in chosen])
    return qat.eval()


def shake(module: nn.Module) -> None:
    """Random statistics and affine parameters for every batch norm."""
    generator = torch.Generator().manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, ElasticNorm):
            for tensor, low in (
                (norm.running_mean, -0.2),
                (norm.running_var, 0.5),
                (norm.weight.data, 0.5),
                (norm.bias.data, -0.2),
            ):
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(low + noise * (1.0 if low > 0 else 0.4))


def bkd_plans_of(hyperspace: str, target: str | None = None) -> list[Plan]:
    device = load_target(target) if target else None
    return list(bkd_plans(library_space(hyperspace), device))


def images(count: int, subnet: Subnet, channels: int = 3) -> Tensor:
    """(N, C, H, W), channels last."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, channels, *pair(subnet.resolution))
    noise = torch.randn(shape, generator=generator)
    return noise.contiguous(memory_format=torch.channels_last)


def outputs(found: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """What a network gives: its maps by name, or its logits."""
    return found if isinstance(found, dict) else {LOGITS: found}


def assert_equal(found: Tensor | dict[str, Tensor], wanted: Tensor | dict[str, Tensor]) -> None:
    """Equal to the bit, and finite."""
    mine, theirs = outputs(found), outputs(wanted)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.isfinite(value).all()
        assert torch.equal(mine[name], value)


def multiply_accumulates(module: nn.Module, x: Tensor) -> int:
    """Counted by hooks on every convolution and linear layer."""
    total = 0

    def count(layer: nn.Module, _: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += weight[0].numel() * result[0].numel()

    hooks = [
        m.register_forward_hook(count)
        for m in module.modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return total
