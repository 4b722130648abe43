"""Activations that are computed again in the backward pass (Chen et al., 2016, "Training Deep Nets
with Sublinear Memory Cost"): less memory for one more forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from torch.utils.checkpoint import checkpoint

from spacedsl_runtime.elastic.modules import ElasticNorm

T = TypeVar("T")


def recomputed(run: Callable[[T], T], x: T, norms: Sequence[ElasticNorm]) -> T:
    """`run(x)`, of which autograd keeps x only. The second time the running statistics of `norms`,
    which are all that `run` has, stay as they are: results and gradients are the same to the bit.
    Dropout draws the same numbers again."""
    found: T = checkpoint(
        run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_kept(norms))
    )
    return found


@contextmanager
def _statistics_kept(norms: Sequence[ElasticNorm]) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
