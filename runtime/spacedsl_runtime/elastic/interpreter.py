"""The one interpreter of programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from spacedsl.passes.bound import Beside, Residual, TopDown
from spacedsl.passes.program import Joined, Layer, Program
from spacedsl_runtime.elastic.functional import activate

T = TypeVar("T")
"""What runs through a program: a tensor, or one with its 8-bit scale."""

Apply = Callable[[Layer, T], T]
"""Runs one layer: (N, cin, H, W) -> (N, cout, H', W')."""

Join = Callable[[Joined, Sequence[T]], T]
"""Joins the paths of a step, (N, C, H, W) each."""


def join_paths(step: Joined, paths: Sequence[Tensor]) -> Tensor:
    """The sum of two maps (N, C, H, W), or the channels of several one behind the other; then the
    activation."""
    joined = paths[0] + paths[1] if isinstance(step, Residual) else torch.cat([*paths], dim=1)
    return activate(joined, step.join.act)


def top_down(
    pyramid: TopDown[Layer], laterals: Sequence[Tensor], apply: Apply[Tensor]
) -> list[Tensor]:
    """The outputs of a pyramid, finest first, of what the convolutions of its levels made."""
    found: list[Tensor] = []
    total = laterals[-1]
    for (*joins, out), lateral in zip(pyramid.levels, reversed(laterals), strict=True):
        if joins:
            total = lateral + apply(joins[0], total)
        found.append(apply(out, total))
    return found[::-1]


def run(program: Program, x: T, apply: Apply[T], join: Join[T]) -> T:
    """Run a program on x (N, C, H, W), its pyramid left out."""
    for step in program:
        if isinstance(step, Layer):
            x = apply(step, x)
        elif not isinstance(step, Beside | TopDown):
            x = join(step, [run(branch, x, apply, join) for branch in step.branches])
    return x
