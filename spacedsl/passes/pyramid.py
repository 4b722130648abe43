"""A feature pyramid (Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017), bound.

Each tapped map goes through a convolution 1x1. From the coarsest level to the finest the sum so far
is upsampled, each pixel becoming as many as the strides of the two levels say, and added to the
next. A convolution 3x3 makes each level's output. All convolutions have batch norm, none an
activation."""

from __future__ import annotations

from operator import mul

from spacedsl.ir.block import Pyramid
from spacedsl.ir.expr import evaluate_size
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Size, by_side
from spacedsl.passes.bound import Beside, TopDown


def bind_lateral(cin: int, width: int, size: Size, at: int) -> Beside[Layer]:
    """The convolution of a level that reads `cin` channels of `size` pixels."""
    return Beside(_conv(1, cin, width, size, at))


def bind_pyramid(op: Pyramid, size: Size, at: int) -> TopDown[Layer]:
    """`size`: of the coarsest level in pixels."""
    width = evaluate_size(op.width, {})
    levels: list[tuple[Layer, ...]] = [(_conv(3, width, width, size, at),)]
    for step in op.steps:
        finer = by_side(mul, size, step)
        up = Layer("upsample", width, width, size, finer, step, op=at)
        add = Layer("add", width, width, finer, finer, op=at)
        levels.append((up, add, _conv(3, width, width, finer, at)))
        size = finer
    return TopDown(tuple(levels))


def _conv(kernel: int, cin: int, cout: int, size: Size, at: int) -> Layer:
    return Layer("conv", cin, cout, size, size, kernel, norm=True, op=at)
