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

    main: tuple[L | Joined[L], ...]
    shortcut: tuple[L | Joined[L], ...]
    add: L

    @property
    def branches(self) -> tuple[tuple[L | Joined[L], ...], ...]:
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

    branches: tuple[tuple[L | Joined[L], ...], ...]
    join: L


Joined = Residual[L] | Concat[L]
Bound = Layer | Joined[Layer]


def layers(bound: tuple[Bound, ...]) -> Iterator[Layer]:
    """All layers in execution order; paths before what joins them."""
    for item in bound:
        if isinstance(item, Layer):
            yield item
            continue
        for branch in item.branches:
            yield from layers(branch)
        yield item.join


def last_layer(item: L | Joined[L]) -> L:
    """The layer that makes an item's tensor: the item itself, or what joins its paths."""
    return item if isinstance(item, Layer) else item.join
