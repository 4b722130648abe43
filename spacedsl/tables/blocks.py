"""The distinct blocks of table rows: rows become sums over blocks, blocks sums over kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np

from spacedsl.ir.identity import block_identity, normal_ops
from spacedsl.ir.space import BlockChoice, Settings, Space
from spacedsl.operators.size import Pair, Size, as_number, by_side
from spacedsl.operators.window import strided
from spacedsl.passes.bind import Site
from spacedsl.passes.bound import layers
from spacedsl.passes.errors import BindError
from spacedsl.passes.kernels import Kernel, kernels
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.tables.rows import SubstageRows, elastic_stage, resolutions_of, settings_of
from spacedsl.tables.solve import Floats, Ints, sum_at

REFERENCE_SIZE = 4096
"""Bodies are bound once at this height; a layer's height divides it by the strides passed."""


@dataclass(frozen=True, slots=True)
class Family:
    """How tables name a block choice: its identity, and its settings in canonical order."""

    identity: str
    order: tuple[str, ...]


def family(choice: BlockChoice, known: Iterable[str] = ()) -> Family:
    """The family of a choice: of those that it may belong to the one whose identity is known.
    Names of parameters do not matter, their role does."""
    found, identities = _families(choice), set(known)
    return next((one for one in found if one.identity in identities), found[0])


@lru_cache(maxsize=4096)
def _families(choice: BlockChoice) -> tuple[Family, ...]:
    return tuple(map(_family, choice.views))


def _family(choice: BlockChoice) -> Family:
    _, renamed = normal_ops(choice)
    chosen = [arg.name for arg in choice.chosen if arg.name in renamed]
    return Family(block_identity(choice), tuple(sorted(chosen, key=lambda n: int(renamed[n][1:]))))


def canonical_settings(order: Sequence[str], site: Site) -> tuple[float, ...]:
    """What tables take for the settings of a site, in canonical order."""
    given = site.choice.fixed | dict(site.settings)
    return tuple(as_number(given[name]) for name in order)


class KernelCache:
    """Kernels of sites; a body is bound once for all sizes."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[object, ...], tuple[BlockChoice, tuple[Kernel, ...]]] = {}

    def kernels(self, site: Site) -> tuple[Kernel, ...]:
        """The latency kernels of one block in its place. Raises `BindError`."""
        if site.stride not in (1, 2) or isinstance(site.size, Pair):
            return kernels(layers(site.bind()))
        key = (id(site.choice), site.cin, site.cout, site.stride, site.settings)
        known = self._bodies.get(key)
        if known is None:
            reference = Site(
                site.choice, site.cin, site.cout, REFERENCE_SIZE, site.stride, site.settings
            )
            # the choice is kept, so its id stays taken
            known = self._bodies[key] = (site.choice, kernels(layers(reference.bind())))
        scaled: list[Kernel] = []
        for kernel in known[1]:
            height = kernel.size
            if isinstance(height, Pair) or kernel.valid or REFERENCE_SIZE % height:
                return kernels(layers(site.bind()))  # it does not scale
            scaled.append(kernel._replace(size=-(-site.size * height // REFERENCE_SIZE)))
        return tuple(scaled)

    def find(self, site: Site) -> tuple[Kernel, ...] | None:
        """The same, None for a block that cannot be built there."""
        try:
            return self.kernels(site)
        except BindError:
            return None


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """Rows as sums over distinct blocks: entry i says that row `row[i]` contains `block[i]`.
    Blocks past the measured ones are reachable in the hyperspace but in no row."""

    sites: tuple[Site, ...]
    row: Ints
    block: Ints
    rows: int

    def totals(self, values: Floats) -> Floats:
        """(blocks,) -> (rows,)."""
        return sum_at(self.row, values[self.block], self.rows)

    def spread(self, values: Floats) -> Floats:
        """(rows,) -> (blocks,), the transpose of `totals`."""
        return sum_at(self.block, values[self.row], len(self.sites))


def index_blocks(
    files: Iterable[SubstageRows], space: Space, *, reachable: bool = False
) -> BlockIndex:
    """Number the distinct blocks of all rows (files in order, rows in order); with `reachable`
    also those of `space` that no row contains, at the rows' resolutions."""
    files = tuple(files)
    known: dict[tuple[int, int, int, Size, Size, tuple[float, ...]], int] = {}
    sites: list[Site] = []
    row: list[int] = []
    block: list[int] = []
    families = _choice_numbers(space)

    def number(
        choice: BlockChoice,
        cin: int,
        cout: int,
        size: Size,
        stride: Size,
        values: tuple[float, ...],
    ) -> int:
        key = (families[id(choice)], cin, cout, size, stride, values)
        found = known.get(key)
        if found is None:
            found = known[key] = len(sites)
            sites.append(Site(choice, cin, cout, size, stride, settings_of(choice, values)))
        return found

    start = 0
    for rows in files:
        stage = elastic_stage(space, rows.number)
        choice = stage.choices[rows.choice]
        for i, widths, settings in zip(
            range(len(rows)), rows.widths.tolist(), rows.settings.tolist(), strict=True
        ):
            cin, size, stride = int(rows.cin[i]), cast(Size, int(rows.size[i])), stage.stride
            for d in range(int(rows.depth[i])):
                values = tuple(settings[d])
                row.append(start + i)
                block.append(number(choice, cin, widths[d], size, stride, values))
                cin, size, stride = widths[d], by_side(strided, size, stride), 1
        start += len(rows)
    if reachable:
        for site in reachable_sites(space, resolutions_of(files, space)):
            number(
                site.choice,
                site.cin,
                site.cout,
                site.size,
                site.stride,
                tuple(as_number(v) for _, v in site.settings),
            )
    return BlockIndex(tuple(sites), np.array(row, np.int64), np.array(block, np.int64), start)


def _choice_numbers(space: Space) -> Mapping[int, int]:
    """Equal block types of different stages get one number."""
    numbers: dict[str, int] = {}
    choices = [c for p in space.elastic for c in space.stages[p].choices]
    return {id(c): numbers.setdefault(family(c).identity, len(numbers)) for c in choices}


def reachable_sites(space: Space, resolutions: Sequence[Size]) -> Iterator[Site]:
    """Every block that a member of `space` can have in an elastic stage at these resolutions."""
    for resolution in resolutions:
        sizes = stage_sizes(space, resolution)
        for position in space.elastic:
            stage, before = space.stages[position], space.widths_after(position - 1)
            inner = sizes[position + 1] if position + 1 < len(sizes) else sizes[position]
            for choice in stage.choices:
                for values in _combinations(choice):
                    for cout in stage.widths:
                        for cin in before:
                            yield Site(choice, cin, cout, sizes[position], stage.stride, values)
                        for cin in stage.widths if stage.depths[-1] > 1 else ():
                            yield Site(choice, cin, cout, inner, 1, values)


def _combinations(choice: BlockChoice) -> list[Settings]:
    found: list[Settings] = [()]
    for arg in choice.chosen:
        found = [(*values, (arg.name, value)) for values in found for value in arg.values]
    return found
