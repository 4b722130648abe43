"""Bound bodies: the layers that run, and where they run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from spacedsl.operators.layer import Layer

L = TypeVar("L", bound=Layer)
"""A layer as it is bound, or in its place in a network."""


@dataclass(frozen=True, slots=True)
class Residual(Generic[L]):
    """`main` plus `shortcut` (empty: the input itself), then the `add` layer, whose `act` is the
    activation after the addition."""

    main: tuple[L | Joined[L] | Neck[L], ...]
    shortcut: tuple[L | Joined[L] | Neck[L], ...]
    add: L

    @property
    def branches(self) -> tuple[tuple[L | Joined[L] | Neck[L], ...], ...]:
        """The paths, which read the same tensor."""
        return self.main, self.shortcut

    @property
    def join(self) -> L:
        """What makes one tensor of what the paths make."""
        return self.add


@dataclass(frozen=True, slots=True)
class Concat(Generic[L]):
    """Paths that read the same tensor (an empty one gives it as it is), then the layer that puts
    their channels one behind the other."""

    branches: tuple[tuple[L | Joined[L] | Neck[L], ...], ...]
    join: L


@dataclass(frozen=True, slots=True)
class Beside(Generic[L]):
    """A convolution beside the path, which goes on as it came in: what it makes waits for the
    pyramid."""

    conv: L

    @property
    def branches(self) -> tuple[tuple[L, ...], ...]:
        """Its layers."""
        return ((self.conv,),)

    @property
    def join(self) -> L:
        """The layer that stands for it."""
        return self.conv


@dataclass(frozen=True, slots=True)
class TopDown(Generic[L]):
    """A pyramid over what waits for it, the last first. `levels` from the coarsest on: the first
    has the convolution that makes its output, each other one the upsampling of the sum before it,
    the addition and that convolution."""

    levels: tuple[tuple[L, ...], ...]

    @property
    def branches(self) -> tuple[tuple[L, ...], ...]:
        """Its layers."""
        return self.levels

    @property
    def join(self) -> L:
        """The layer that makes the finest output."""
        return self.levels[-1][-1]


Joined = Residual[L] | Concat[L]
Neck = Beside[L] | TopDown[L]
Bound = Layer | Joined[Layer] | Neck[Layer]


def layers(bound: tuple[Bound, ...]) -> Iterator[Layer]:
    """All layers in execution order; paths before what joins them."""
    for item in bound:
        if isinstance(item, Layer):
            yield item
            continue
        for branch in item.branches:
            yield from layers(branch)
        if isinstance(item, Residual | Concat):
            yield item.join


def last_layer(item: L | Joined[L] | Neck[L]) -> L:
    """The layer that makes an item's tensor: the item itself, or what joins its paths. Of a
    convolution beside the path it is that one, whose map has the size of the path's."""
    return item if isinstance(item, Layer) else item.join
