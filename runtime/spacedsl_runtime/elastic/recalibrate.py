"""Batch norm statistics of one subnet (slimmable networks, Yu & Huang 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.elastic.modules import ElasticNorm, several_values

M = TypeVar("M", bound=nn.Module)


def recalibrate(module: M, batches: Iterable[Tensor]) -> M:
    """Replace the running statistics of every batch norm of an extracted module (FP32 or QAT) by
    their averages over `batches` of images (N, C, R, R), in order. A batch that gives a norm one
    value per channel has no variance and does not count for it; where none counts, its statistics
    stay. Weights do not change, nor does the mode of the module. Returns
    `module`."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d | ElasticNorm)]
    modes = {m: m.training for m in module.modules()}
    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(_counting(norm)) for norm in norms]
    module.eval()
    try:
        with torch.no_grad():
            for images in batches:
                for norm in norms:
                    norm.train()
                module(to_channels_last(images))
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for part, training in modes.items():
            part.training = training
    return module


def _counting(
    norm: nn.BatchNorm2d | ElasticNorm,
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """What runs before a norm does: it averages over all batches so far that have a variance."""
    seen = 0

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal seen
        norm.training = several_values(inputs[0])
        if norm.training:
            seen += 1
            norm.momentum = 1 / seen

    return before
