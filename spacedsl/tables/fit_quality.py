"""Fit NSR losses to table rows: ridge on the features of `quality`, then the link.

Every coefficient is the sum of one shared by all blocks of the stage, one per position from the
start, one per position from the end, one per (depth, position), and some per depth or resolution;
the ridge shrinks the particular ones harder. Only the sums are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.space import BlockChoice, Space
from spacedsl.operators.size import Size, as_number
from spacedsl.tables.blocks import family
from spacedsl.tables.quality import (
    FittedStageLoss,
    block_features,
    hats,
    numbers,
    positions,
    scaled,
)
from spacedsl.tables.rows import SubstageRows, elastic_stage, resolutions_of
from spacedsl.tables.schema import QualityData, StageLossData
from spacedsl.tables.solve import Floats, Ints, monotone, ridge

PENALTY = 3.0
KNOTS = 24
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Substages:
    """N measured sub-stages of one (elastic stage, block type): `settings` (N, D, P) in canonical
    order, `values` the offered ones of each setting, ascending."""

    number: int
    choice: BlockChoice
    stride: Size
    resolution: Ints | Floats
    cin: Ints
    depth: Ints
    widths: Ints  # (N, D)
    settings: Floats  # (N, D, P)
    loss: Floats

    @property
    def values(self) -> tuple[tuple[float, ...], ...]:
        """Offered values of each setting, canonical order."""
        order = family(self.choice).order
        return tuple(tuple(as_number(v) for v in self.choice.values(n)) for n in order)


def substages(files: Sequence[SubstageRows], space: Space) -> list[Substages]:
    """The rows of all windows of each (stage, block type), in order."""
    cells: dict[tuple[int, int], list[SubstageRows]] = {}
    for rows in files:
        cells.setdefault((rows.number, rows.choice), []).append(rows)
    return [_join(found, space) for _, found in sorted(cells.items())]


def _join(files: Sequence[SubstageRows], space: Space) -> Substages:
    stage = elastic_stage(space, files[0].number)
    choice = stage.choices[files[0].choice]
    names = [arg.name for arg in choice.chosen]
    order = [names.index(name) for name in family(choice).order]

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(rows, name) for rows in files])

    return Substages(
        files[0].number,
        choice,
        stage.stride,
        resolution=joined("resolution"),
        cin=joined("cin").astype(np.int64),
        depth=joined("depth").astype(np.int64),
        widths=joined("widths").astype(np.int64),
        settings=joined("settings")[:, :, order],
        loss=joined("loss"),
    )


def fit_quality(files: Sequence[SubstageRows], space: Space) -> QualityData:
    """Fit the loss column of `files`, rows of `space`'s tables."""
    resolutions = resolutions_of(files, space)
    return QualityData(
        resolutions=resolutions,
        stages=tuple(fit_stage(cell, resolutions) for cell in substages(files, space)),
    )


@dataclass
class _Design:
    """Feature columns in named parts, each with its own strength against the ridge."""

    parts: dict[str, tuple[slice, tuple[int, ...]]] = field(default_factory=dict)
    columns: list[Floats] = field(default_factory=list)
    strengths: list[float] = field(default_factory=list)

    def add(self, name: str, features: Floats, strength: float) -> None:
        """`features` (N, ...): the coefficients of this part have the trailing shape."""
        flat = features.reshape(len(features), -1)
        start = len(self.strengths)
        self.strengths += [strength] * flat.shape[1]
        self.parts[name] = (slice(start, len(self.strengths)), features.shape[1:])
        self.columns.append(flat * strength)

    def matrix(self) -> Floats:
        """All columns, scaled by their strengths, (N, F)."""
        return np.concatenate(self.columns, axis=1)

    def part(self, name: str, coefficients: Floats) -> Floats:
        """The coefficients of one part, unscaled."""
        where, shape = self.parts[name]
        scaled_back: Floats = coefficients[where] * np.array(self.strengths)[where]
        return scaled_back.reshape(shape)


def fit_stage(cell: Substages, resolutions: tuple[Size, ...]) -> StageLossData:
    """Fit one (stage, block type). The result's rows are rounded to `DIGITS` digits."""
    depths = tuple(int(d) for d in np.unique(cell.depth))
    used = np.arange(cell.widths.shape[1]) < cell.depth[:, None]
    width_scale, cin_scale = _scale(cell.widths[used]), _scale(cell.cin)
    design, plain = _design(cell, depths, resolutions, (width_scale, cin_scale))
    coefficients, intercept = ridge(design.matrix(), cell.loss, PENALTY)

    def part(name: str) -> Floats:
        return design.part(name, coefficients)

    rows = positions(depths)
    position = np.zeros((len(rows), len(part("shared"))))
    for (depth, at), row in rows.items():
        position[row] = part("shared") + part("start")[at] + part("end")[depth - 1 - at]
        position[row, :plain] += part("depth")[depths.index(depth)] + part("plain")[row]
        position[row, plain:] += part("crossed")[row]
    a = intercept + part("a size")[:, None] + part("a depth") + part("a both")
    b = part("b") + part("b size")[:, None] + part("b depth")
    data = StageLossData(
        stage=cell.number,
        block=family(cell.choice).identity,
        name=cell.choice.block.name,
        stride=cell.stride,
        depths=depths,
        cin=(int(cell.cin.min()), int(cell.cin.max())),
        width=(int(cell.widths[used].min()), int(cell.widths[used].max())),
        settings=cell.values,
        cin_scale=cin_scale,
        width_scale=width_scale,
        level_a=_table(a),
        level_b=_table(b),
        shape=round(float(part("shape")[0]), DIGITS),
        position=_table(position),
        size=_table(part("size")),
        knots=((0.0, 1.0), (0.5, 1.0)),
        rows=len(cell.loss),
    )
    return data.model_copy(update={"knots": _link(data, cell, resolutions)})


def _scale(widths: Ints) -> tuple[float, float]:
    logs = np.log(widths)
    return round(float(logs.mean()), DIGITS), round(float(logs.std()), DIGITS) or 1.0


def _design(
    cell: Substages,
    depths: tuple[int, ...],
    resolutions: tuple[Size, ...],
    scales: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[_Design, int]:
    """The design, and the number of plain features."""
    count, deepest = cell.widths.shape[0], depths[-1]
    width_scale, cin_scale = scales
    plain: list[Floats] = []
    crossed: list[Floats] = []
    for p in range(deepest):
        used = (cell.depth > p).astype(float)[:, None]
        width = np.maximum(cell.widths[:, p], 1)
        before = cell.cin if p == 0 else np.maximum(cell.widths[:, p - 1], 1)
        weights = [
            hats(cell.settings[:, p, j], values)
            for j, values in enumerate(cell.values)
            if len(values) > 1
        ]
        same = (before == width) & (p > 0 or cell.stride == 1)
        v = scaled(before, cin_scale if p == 0 else width_scale)
        one, two = block_features(scaled(width, width_scale), v, same, weights)
        plain.append(one * used)
        crossed.append(two * used)
    small = np.stack(plain, axis=1)  # (N, D, F1)
    whole = np.concatenate([small, np.stack(crossed, axis=1)], axis=2)  # (N, D, F)
    resolution = hats(cell.resolution.astype(float), numbers(resolutions))
    depth = (cell.depth[:, None] == np.array(depths)).astype(float)
    x = scaled(cell.cin, cin_scale)[:, None]
    rows = positions(depths)
    by_place = np.zeros((count, len(rows), whole.shape[2]))
    by_end = np.zeros_like(whole)
    for (d, p), row in rows.items():
        at = cell.depth == d
        by_place[at, row] = whole[at, p]
        by_end[at, d - 1 - p] = whole[at, p]

    design = _Design()
    design.add("shared", whole.sum(axis=1), 1.0)
    design.add("start", whole, 1.0)
    design.add("end", by_end, 1.0)
    design.add("depth", depth[:, :, None] * small.sum(axis=1)[:, None], 0.5)
    design.add("size", resolution[:, :, None] * small.sum(axis=1)[:, None], 0.5)
    plain_count = small.shape[2]
    design.add("plain", by_place[:, :, :plain_count], 0.5)
    design.add("crossed", by_place[:, :, plain_count:], 0.3)
    design.add("a size", resolution, 1.0)
    design.add("a depth", depth, 1.0)
    design.add("a both", resolution[:, :, None] * depth[:, None], 1.0)
    design.add("b", x, 1.0)
    design.add("b size", resolution * x, 1.0)
    design.add("b depth", depth * x, 1.0)
    design.add("shape", x * x, 1.0)
    return design, plain_count


def _link(
    data: StageLossData, cell: Substages, resolutions: tuple[Size, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of the link, from the rounded coefficients."""
    order = tuple(str(i) for i in range(len(data.settings)))
    straight = FittedStageLoss(data, resolutions, order)
    totals = straight.totals(cell.resolution, cell.cin, cell.depth, cell.widths, cell.settings)
    x, y = monotone(totals, cell.loss, knots=KNOTS)
    return _row(x), _row(y)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) for value in values)


def _table(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(_row(row) for row in values)
