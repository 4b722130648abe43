"""Bound bodies: the layers that run, and where they run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spacedsl.operators.layer import Layer


@dataclass(frozen=True, slots=True)
class Residual:
    """`main` plus `shortcut` (empty: the input itself), then the `add` layer, whose `act` is the
    activation after the addition."""

    main: tuple[Bound, ...]
    shortcut: tuple[Bound, ...]
    add: Layer

    @property
    def branches(self) -> tuple[tuple[Bound, ...], ...]:
        """The paths, which read the same tensor."""
        return self.main, self.shortcut

    @property
    def join(self) -> Layer:
        """What makes one tensor of what the paths make."""
        return self.add


@dataclass(frozen=True, slots=True)
class Concat:
    """Paths that read the same tensor (an empty one gives it as it is), then the layer that puts
    their channels one behind the other."""

    branches: tuple[tuple[Bound, ...], ...]
    join: Layer


Bound = Layer | Residual | Concat


def layers(bound: tuple[Bound, ...]) -> Iterator[Layer]:
    """All layers in execution order; paths before what joins them."""
    for item in bound:
        if isinstance(item, Layer):
            yield item
            continue
        for branch in item.branches:
            yield from layers(branch)
        yield item.join


def last_layer(item: Bound) -> Layer:
    """The layer that makes an item's tensor: the item itself, or what joins its paths."""
    return item if isinstance(item, Layer) else item.join
