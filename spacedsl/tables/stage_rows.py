"""Table rows as a search draws them: latencies and losses per stage, block type and window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.operators.size import Pair, Size, as_number
from spacedsl.tables.blocks import family
from spacedsl.tables.rows import SubstageRows, elastic_stage, read_directory, resolutions_of
from spacedsl.tables.solve import Floats

Key = tuple[int, str, tuple[int, ...]]
"""Elastic stage from 1, block identity, widths of the window."""


class TableRows:
    """`StageRows` of a table directory, read against its hyperspace."""

    def __init__(self, files: Iterable[SubstageRows], space: Space) -> None:
        self._space = space
        self._files: dict[Key, tuple[SubstageRows, BlockChoice]] = {}
        for rows in files:
            stage = elastic_stage(space, rows.number)
            choice = stage.choices[rows.choice]
            key = (rows.number, family(choice).identity, stage.windows[rows.window])
            self._files[key] = rows, choice

    @classmethod
    def read(cls, directory: Path, space: Space) -> TableRows:
        """Raises `SpaceError` where the directory does not belong to `space`."""
        return cls(read_directory(directory, space), space)

    @cached_property
    def resolutions(self) -> tuple[Size, ...]:
        """Network resolutions in pixels of the rows, ascending."""
        return resolutions_of((rows for rows, _ in self._files.values()), self._space)

    @cached_property
    def identity(self) -> str:
        """Content hash of the rows, whatever their order."""
        total = hashlib.sha256()
        for key, (rows, _) in sorted(self._files.items(), key=lambda item: item[0]):
            columns = [
                rows.resolution,
                rows.cin,
                rows.depth,
                *rows.widths.T,
                *rows.settings.reshape(len(rows), -1).T,
                rows.loss,
                rows.latency_ms,
            ]
            table = np.stack(columns, axis=1).astype("<f8")
            order = np.lexsort(table.T[::-1])
            total.update(repr((key, table.shape)).encode())
            total.update(np.ascontiguousarray(table[order]).tobytes())
        return total.hexdigest()

    def rows(
        self, number: int, choice: BlockChoice, widths: tuple[int, ...], resolution: float | Pair
    ) -> tuple[Floats, Floats] | None:
        """Latencies in ms and NSR losses, (R,) each, ascending; those whose settings `choice`
        offers. None where there are none."""
        there = [block for at, block, _ in self._files if at == number]
        found = self._files.get((number, family(choice, there).identity, widths))
        if found is None:
            return None
        rows, table_choice = found
        values = [choice.values(name) for name in family(choice, there).order]
        offered = _offered(rows, table_choice, values)
        mask = (rows.resolution == as_number(resolution)) & offered
        if not mask.any():
            return None
        latency, loss = rows.latency_ms[mask], rows.loss[mask]
        order = np.lexsort((loss, latency))
        return latency[order], loss[order]


def _offered(
    rows: SubstageRows, table_choice: BlockChoice, values: Sequence[Sequence[Value]]
) -> NDArray[np.bool_]:
    """Rows all of whose blocks have settings that are offered, in canonical order, (N,)."""
    columns = [arg.name for arg in table_choice.chosen]
    used = np.arange(rows.widths.shape[1]) < rows.depth[:, None]
    kept = np.ones(len(rows), dtype=bool)
    for mine, given in zip(family(table_choice).order, values, strict=True):
        offered = np.array([as_number(v) for v in given])
        inside = np.isin(rows.settings[:, :, columns.index(mine)], offered)
        kept &= (inside | ~used).all(axis=1)
    return kept
