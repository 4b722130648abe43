"""From a profile to the samples its model is fitted to: batches on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Floats
from spacedsl.targets.kernel_model import NetSample
from spacedsl.targets.profile_file import BatchRecord, NetRecord


def samples_of(batches: Sequence[BatchRecord]) -> tuple[NetSample, ...]:
    """Networks with their times as if all batches had been measured at once: divided by what the
    references took in their batch, times what they take in the median of the batches. References
    come once, as they were in the median."""
    references = [batch.references for batch in batches]
    own = _factors([[net.net_ms for net in nets] for nets in references])
    nodes = _factors([[sum(net.kernel_ms) for net in nets] for nets in references])
    scales = list(zip(own, nodes, strict=True))
    found = [
        _sample(net, *scale)
        for batch, scale in zip(batches, scales, strict=True)
        for net in batch.nets
    ]
    again = (
        [_sample(net, *scale) for net, scale in zip(nets, scales, strict=True)]
        for nets in zip(*references, strict=True)
    )
    return (*found, *(_median(samples) for samples in again))


def _sample(net: NetRecord, own: float, nodes: float) -> NetSample:
    kernels = tuple(Kernel(*kernel) for kernel in net.kernels)
    kernel_ms = np.array(net.kernel_ms) / nodes
    return NetSample(kernels, kernel_ms, np.array(net.kernel_nodes), net.net_ms / own, net.steady)


def _median(samples: Sequence[NetSample]) -> NetSample:
    """One network measured several times."""
    kernel_ms = np.median([s.kernel_ms for s in samples], axis=0)
    net_ms = float(np.median([s.net_ms for s in samples]))
    first = samples[0]
    steady = any(s.steady for s in samples)
    return NetSample(first.kernels, kernel_ms, first.kernel_nodes, net_ms, steady)


def _factors(reference_ms: Sequence[Sequence[float]]) -> Floats:
    """(batches,): how slow the machine was, 1 in the median."""
    logs = np.log(np.array(reference_ms)).mean(axis=1)
    return np.asarray(np.exp(logs - np.median(logs)))
