"""Batch norm statistics of one subnet (slimmable networks, Yu & Huang 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.elastic.modules import ElasticNorm

M = TypeVar("M", bound=nn.Module)


def recalibrate(module: M, batches: Iterable[Tensor]) -> M:
    """Replace the running statistics of every batch norm of an extracted module (FP32 or QAT) by
    their averages over `batches` of images (N, C, R, R), in order. Weights do not change, nor does
    the mode of the module. Returns `module`."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d | ElasticNorm)]
    modes = {m: m.training for m in module.modules()}
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.train()
    try:
        with torch.no_grad():
            for seen, images in enumerate(batches):
                for norm in norms:
                    norm.momentum = 1 / (seen + 1)  # a cumulative average
                module(to_channels_last(images))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for part, training in modes.items():
            part.training = training
    return module
