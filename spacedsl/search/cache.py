"""A cache of arrays that never holds more than it may."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class ByteCache(Generic[V]):
    """Values by key; the least recently used go first where their sizes exceed `limit` bytes."""

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self.limit = limit
        self.held = 0
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> list[tuple[Any, V]]:
        """What is held, the least recently used first."""
        return list(self._values.items())

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of `key`, made where it is not held."""
        try:
            self._values.move_to_end(key)
            return self._values[key]
        except KeyError:
            value = make()
        self._values[key] = value
        self.held += self._size(value)
        while self.held > self.limit and len(self._values) > 1:
            _, dropped = self._values.popitem(last=False)
            self.held -= self._size(dropped)
        return value
