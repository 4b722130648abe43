"""The convolutions of a supernet that are trained as sums (`reparam.py`): folded in place, for
training in 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl.passes.program import Layer, flat
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.reparam import FoldedConv, ReparamConv, folded_conv, settle
from spacedsl_runtime.elastic.supernet import ElasticStages, Member


def calibrate_sums(
    stages: ElasticStages,
    images: Callable[[Size], Iterable[Tensor]],
    resolution: Size | None = None,
) -> None:
    """Give the batch norms the statistics of the largest subnet on `images` of its resolution, if
    there are sums: folding takes them from there."""
    if _has_sums(stages):
        largest = stages.largest(resolution)
        recalibrate(Member(stages, largest), images(largest.resolution))


def fold_sums(stages: ElasticStages) -> None:
    """Fold every sum into one weight, with the statistics that its norms have. In evaluation the
    largest subnet computes the same; others compute what is near it."""
    if not _has_sums(stages):
        return
    layers = {step.at: step for step in _layers(stages) if step.reparam}
    for i, blocks in enumerate(stages.stages):
        for j, slots in enumerate(cast(nn.ModuleList, blocks)):
            held = cast(nn.ModuleDict, slots)
            for slot, source in list(held.items()):
                if isinstance(source, ReparamConv):
                    held[slot] = folded_conv(source, layers.get((i, j, slot))).train(
                        source.training
                    )


def _has_sums(stages: ElasticStages) -> bool:
    return any(isinstance(module, ReparamConv) for module in stages.modules())


def _layers(stages: ElasticStages) -> Iterator[Layer]:
    for step in flat(stages.program(stages.largest())):
        if isinstance(step, Layer):
            yield step


def folded_norms(stages: ElasticStages) -> list[ElasticNorm]:
    """The norms of folded sums."""
    folded = [m for m in stages.modules() if isinstance(m, FoldedConv)]
    return [conv.norm for conv in folded if conv.norm is not None]


def settle_all(
    stages: ElasticStages,
    norms: Iterable[ElasticNorm],
    subnets: Sequence[Subnet],
    images: Sequence[Tensor],
) -> None:
    """Give each of `norms` the statistics that it has in the first of `subnets` that runs it, each
    on its batch (N, C, H, W). In evaluation nothing changes."""
    waiting = set(norms)

    def first(norm: ElasticNorm, inputs: tuple[Tensor, ...]) -> None:
        if norm in waiting:
            waiting.remove(norm)
            settle(norm, inputs[0])

    hooks = [norm.register_forward_pre_hook(first) for norm in waiting]
    training = stages.training
    stages.eval()
    try:
        with torch.no_grad():
            for subnet, batch in zip(subnets, images, strict=True):
                if waiting:
                    stages.run_program(stages.program(subnet), batch)
    finally:
        for hook in hooks:
            hook.remove()
        stages.train(training)
