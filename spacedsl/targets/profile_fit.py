"""From a profile to the samples its model is fitted to: batches on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Floats
from spacedsl.targets.kernel_model import NetSample
from spacedsl.targets.profile_file import BatchRecord


def samples_of(batches: Sequence[BatchRecord]) -> tuple[NetSample, ...]:
    """Networks with their times as if all batches had been measured at once: divided by what the
    references took in their batch, times what they take in the median of the batches."""
    own = _factors([batch.reference_ms for batch in batches])
    nodes = _factors([batch.reference_kernel_ms for batch in batches])
    return tuple(
        NetSample(
            kernels=tuple(Kernel(*kernel) for kernel in net.kernels),
            kernel_ms=np.array(net.kernel_ms) / node,
            net_ms=net.net_ms / factor,
            steady=net.steady,
        )
        for batch, factor, node in zip(batches, own, nodes, strict=True)
        for net in batch.nets
    )


def _factors(reference_ms: Sequence[Sequence[float]]) -> Floats:
    """(batches,): how slow the machine was, 1 in the median."""
    logs = np.log(np.array(reference_ms)).mean(axis=1)
    return np.asarray(np.exp(logs - np.median(logs)))
