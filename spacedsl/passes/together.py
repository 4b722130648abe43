"""Many blocks at once: those that differ in nothing but numbers are looked at as one block, whose
numbers are lots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.block import Value
from spacedsl.ir.expr import MAX_SIZE, exact
from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import Pair, Size, pair
from spacedsl.passes.bind import Site
from spacedsl.passes.errors import BindError
from spacedsl.passes.lot import Lot, Mixed, Single, lot

T = TypeVar("T")
Settings = tuple[tuple[str, Value], ...]
Ints = NDArray[np.int64]
Some = NDArray[np.bool_]

FEW = 4
"""Blocks that are looked at sooner one by one."""

PARTS = 1000
"""Settings are counted in this part of one. A finer number is no part of a lot."""


def together(sites: Sequence[Site], function: Callable[[Site], T]) -> list[tuple[Ints, T]]:
    """What a function says of blocks, each time with the places of those of which it says so. It
    may be given a block with lots in place of numbers. The `BindError` is that of the first block
    that has one."""
    try:
        return [said for many in _alike(sites) for said in _said(sites, many, function)]
    except BindError:
        for site in sites:
            function(site)
        raise


@dataclass(frozen=True, slots=True)
class _Many:
    """Blocks by their places. They differ in nothing but `numbers`, a row each: widths in and out,
    rows, columns, and each setting that is a number."""

    places: Ints
    numbers: Ints

    def part(self, which: Some) -> _Many:
        """Some of them."""
        return _Many(self.places[which], self.numbers[which])

    def by_setting(self) -> Some | None:
        """Takes the first setting in which these blocks differ, and marks those that have it as the
        first block has it. None where no setting differs."""
        apart = self.numbers[:, 4:] != self.numbers[0, 4:]
        varied = apart.any(axis=0)
        return ~apart[:, varied.argmax()] if varied.any() else None

    def one(self, first: Site) -> Site:
        """All of them as one, whose words are those of the first: binding asks no more of a number
        than a lot has."""
        cin, cout, height, width, *parts = self.numbers.T
        settings: list[tuple[str, Any]] = list(first.settings)
        numbers = (i for i, (_, value) in enumerate(settings) if _parts(value) is not None)
        for i, column in zip(numbers, parts, strict=True):
            if (column != column[0]).any():
                settings[i] = settings[i][0], Lot(column, int(np.abs(column).max()), PARTS)
        size: Size = first.size
        if (self.numbers[:, 2:4] != pair(size)).any():
            square = (height == width).all()
            size = _number(height) if square else Pair(_number(height), _number(width))
        cout = _number(cout) if first.cout else 0
        return replace(first, cin=_number(cin), cout=cout, size=size, settings=tuple(settings))


def _number(column: Ints) -> int:
    return cast(int, lot(column))


def _parts(value: Value) -> int | None:
    """How many parts of one a setting is; None where it is no number or a finer one."""
    if not isinstance(value, int | float) or abs(value) > MAX_SIZE:
        return None
    parts = exact(value) * PARTS
    return parts.numerator if parts.denominator == 1 else None


def _alike(sites: Sequence[Site]) -> Iterator[_Many]:
    """Blocks that differ in nothing but numbers."""
    alike: dict[Any, list[tuple[Ints, Ints, list[int]]]] = {}
    for first, places, sizes in sites.same() if isinstance(sites, Grid) else _same(sites):
        parts = [(name, value, _parts(value)) for name, value in first.settings]
        words = ((name, value if n is None else None) for name, value, n in parts)
        key = id(first.choice), first.stride, first.cout == 0, *words
        numbers = [n for *_, n in parts if n is not None]
        alike.setdefault(key, []).append((places, sizes, numbers))
    for groups in alike.values():
        settings = np.array([numbers for *_, numbers in groups], dtype=np.int64)
        settings = settings.repeat([len(places) for places, *_ in groups], axis=0)
        places, sizes = (np.concatenate(some) for some in list(zip(*groups, strict=True))[:2])
        yield _Many(places, np.hstack([sizes, settings]))


Same = tuple[Site, Ints, Ints]
"""One of some blocks of the same type, stride and settings; their places, and a row each: widths in
and out, rows, columns."""


def _same(sites: Sequence[Site]) -> Iterator[Same]:
    same: dict[Any, list[int]] = {}
    for i, site in enumerate(sites):
        key = id(site.choice), site.stride, site.cout == 0, site.settings
        same.setdefault(key, []).append(i)
    for places in same.values():
        some = [sites[i] for i in places]
        sizes = [(site.cin, site.cout, *pair(site.size)) for site in some]
        yield some[0], np.array(places), np.array(sizes, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Grid(Sequence[Site]):
    """A block with all of some settings, at all of some sizes, between all of some `widths` in and
    out, in this order."""

    choice: BlockChoice
    stride: Size
    settings: tuple[Settings, ...]
    sizes: tuple[Size, ...]
    widths: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.settings) * len(self.sizes) * len(self.widths)

    @overload
    def __getitem__(self, place: int) -> Site: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Site]: ...
    def __getitem__(self, place: int | slice) -> Site | Sequence[Site]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        rest, width = divmod(range(len(self))[place], len(self.widths))
        settings, size = divmod(rest, len(self.sizes))
        cin, cout = self.widths[width]
        return Site(self.choice, cin, cout, self.sizes[size], self.stride, self.settings[settings])

    def same(self) -> Iterator[Same]:
        """Its blocks of the same settings."""
        rows = [(*width, *pair(size)) for size in self.sizes for width in self.widths]
        sizes = np.array(rows, dtype=np.int64)
        for i in range(len(self.settings)):
            places = np.arange(i * len(rows), (i + 1) * len(rows))
            yield self[i * len(rows)], places, sizes


def _said(
    sites: Sequence[Site], many: _Many, function: Callable[[Site], T]
) -> Iterator[tuple[Ints, T]]:
    which: Some | None = None
    if len(many.places) > FEW:
        try:
            yield many.places, function(many.one(sites[many.places[0]]))
        except Mixed as mixed:
            which = mixed.which
        except (BindError, Single):
            which = many.by_setting()
        else:
            return
    if which is None:
        for place in many.places:
            yield np.array([place]), function(sites[place])
    else:
        yield from _said(sites, many.part(which), function)
        yield from _said(sites, many.part(~which), function)
