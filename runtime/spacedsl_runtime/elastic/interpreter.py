"""The one interpreter of programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from spacedsl.passes.program import Layer, Program, Residual
from spacedsl_runtime.elastic.functional import activate

T = TypeVar("T")
"""What runs through a program: a tensor, or one with its 8-bit scale."""

Apply = Callable[[Layer, T], T]
"""Runs one layer: (N, cin, H, W) -> (N, cout, H', W')."""

Add = Callable[[Residual, T, T], T]
"""Joins the two paths of a residual, both (N, C, H, W)."""


def add(
    step: Residual, main: Float[Tensor, "n c h w"], shortcut: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n c h w"]:
    """main + shortcut (N, C, H, W), then the activation."""
    return activate(main + shortcut, step.act)


def run(program: Program, x: T, apply: Apply[T], join: Add[T]) -> T:
    """Run a program on x (N, C, H, W)."""
    for step in program:
        if isinstance(step, Residual):
            main = run(step.main, x, apply, join)
            x = join(step, main, run(step.shortcut, x, apply, join))
        else:
            x = apply(step, x)
    return x
