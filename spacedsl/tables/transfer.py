"""Bring a block type that only another table measured onto this table's level and widths.

NSR losses of two tables are not comparable (each stage and block type is a training run of its
own), so per elastic stage the difference of the two is estimated on block types both know, at
configurations both cover. The transferred losses are the source's plus the median difference; the
standard deviation of the differences over the shared types is what such a run may be off by. Where
the source's widths end, the slope is that of the same block without SE, which this table knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.operators.size import Size, as_number
from spacedsl.tables.fit_quality import Substages, fit_stage
from spacedsl.tables.latency import without_se
from spacedsl.tables.quality import Arrays, FittedQuality, FittedStageLoss, numbers, stage_totals
from spacedsl.tables.rows import elastic_stage
from spacedsl.tables.schema import UNKNOWN, QualityData, StageLossData, TableFile
from spacedsl.tables.solve import Floats, Ints

SAMPLES = 4000
SEED = 0


@dataclass(frozen=True, slots=True)
class Offset:
    """Losses of this table minus the source's in one elastic stage. `differences`: of each shared
    block type, by name."""

    stage: int
    differences: tuple[tuple[str, float], ...]

    @property
    def median(self) -> float:
        return float(np.median([value for _, value in self.differences]))

    @property
    def spread(self) -> float:
        """Standard deviation over the shared types; NaN where there is only one."""
        values = [value for _, value in self.differences]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def check_comparable(first: TableFile, second: TableFile) -> None:
    """Raises `SpaceError` where two tables differ in teacher, NSR definition or the resolution of
    the imitated maps, or one of them does not say whose teacher or definition it has."""
    for field in ("teacher", "nsr", "teacher_resolution"):
        a, b = getattr(first.source, field), getattr(second.source, field)
        if a != b or a == UNKNOWN:
            raise fault("table-mix", f"tables with different {field} do not mix: {a} and {b}")


def estimate_offset(
    number: int, here: FittedQuality, source: FittedQuality, choices: Sequence[BlockChoice]
) -> Offset:
    """The offset of elastic stage `number`, over those of `choices` that both know."""
    differences: list[tuple[str, float]] = []
    for choice in choices:
        a, b = here.stage(number, choice), source.stage(number, choice)
        if a is None or b is None:
            continue
        arrays = _overlap(a.data, b.data, here.resolutions)
        difference = a.losses(*arrays) - b.losses(*arrays)
        differences.append((choice.block.name, float(np.nanmean(difference))))
    if not differences:
        raise fault("table-mix", f"no block type of stage {number} is in both tables")
    return Offset(number, tuple(differences))


def _overlap(a: StageLossData, b: StageLossData, resolutions: tuple[Size, ...]) -> Arrays:
    """Random sub-stages that both entries cover."""
    widths = _common(a.width, b.width)
    cins = _common(a.cin, b.cin)
    depths = sorted(set(a.depths) & set(b.depths))
    settings = [sorted(set(x) & set(y)) for x, y in zip(a.settings, b.settings, strict=True)]
    return _draw(resolutions, cins, depths, widths, settings)


def _common(a: tuple[int, int], b: tuple[int, int]) -> list[int]:
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return list(range(-(-low // 8) * 8, high + 1, 8)) or [low]


def _draw(
    resolutions: Sequence[Size],
    cins: Sequence[int],
    depths: Sequence[int],
    widths: Sequence[int],
    settings: Sequence[Sequence[float]],
) -> Arrays:
    rng = np.random.default_rng(SEED)
    shape = (SAMPLES, depths[-1])
    return (
        rng.choice(numbers(resolutions), SAMPLES),
        rng.choice(cins, SAMPLES),
        rng.choice(depths, SAMPLES),
        rng.choice(widths, shape),
        np.stack([rng.choice(values, shape) for values in settings], axis=2),
    )


def transfer(
    space: Space, here: FittedQuality, source: FittedQuality
) -> tuple[QualityData, tuple[Offset, ...]]:
    """Losses for all block types of hyperspace `space`: those `here` knows unchanged, the others
    from `source`. Also the offsets, one per elastic stage."""
    entries: list[StageLossData] = []
    offsets: list[Offset] = []
    for number, position in enumerate(space.elastic, 1):
        choices = space.stages[position].choices
        offsets.append(estimate_offset(number, here, source, choices))
        for choice in choices:
            known = here.stage(number, choice)
            entries.append(
                known.data
                if known is not None
                else _transferred(space, offsets[-1], choice, (here, source))
            )
    return QualityData(resolutions=here.resolutions, stages=tuple(entries)), tuple(offsets)


def _transferred(
    space: Space, offset: Offset, choice: BlockChoice, models: tuple[FittedQuality, FittedQuality]
) -> StageLossData:
    here, source = models
    number, name = offset.stage, choice.block.name
    given = source.stage(number, choice)
    base = without_se(choice)
    guide = here.stage(number, base) if base is not None else None
    if given is None or guide is None:
        raise fault(
            "table-mix", f"stage {number}: nothing to transfer {name} from, or to guide its widths"
        )
    stage = elastic_stage(space, number)
    before = space.widths_after(space.elastic[number - 1] - 1)
    values = [[as_number(v) for v in choice.values(n)] for n in given.order]
    arrays = _draw(here.resolutions, before, stage.depths, stage.widths, values)
    loss = _guided(given, guide, arrays) + offset.median
    cell = Substages(number, choice, stage.stride, *arrays, loss=loss)
    low, high = given.data.width
    return fit_stage(cell, here.resolutions).model_copy(
        update={
            "rows": given.data.rows,
            "offset": round(offset.median, 6),
            "offset_uncertainty": round(offset.spread, 6),
            "extrapolated": tuple(w for w in stage.widths if not low <= w <= high),
        }
    )


def _guided(given: FittedStageLoss, guide: FittedStageLoss, arrays: Arrays) -> Floats:
    """Losses of `given` with widths held inside its range, plus how far the guide's loss changes
    from there. (N,)"""
    resolution, cin, depth, widths, settings = arrays
    inside: Arrays = (
        resolution,
        _held(cin, given.data.cin),
        depth,
        _held(widths, given.data.width),
        settings,
    )
    order = tuple(guide.order)
    change = guide.link(stage_totals(guide, order, arrays)) - guide.link(
        stage_totals(guide, order, _within(guide, inside))
    )
    return given.losses(*inside) + np.nan_to_num(change)


def _held(values: Ints, limits: tuple[int, int]) -> Ints:
    return np.clip(values, *limits)


def _within(guide: FittedStageLoss, arrays: Arrays) -> Arrays:
    resolution, cin, depth, widths, settings = arrays
    return resolution, _held(cin, guide.data.cin), depth, _held(widths, guide.data.width), settings
