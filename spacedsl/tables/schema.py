"""What a table file holds. Versioned JSON; a loader refuses every other version."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from spacedsl.operators.size import Pair, Size, as_number
from spacedsl.search.protocols import Known

MS_PER_UNIT = 1e-5
"""Latencies are stored as integers of 10 nanoseconds."""


UNKNOWN = "unknown"
"""A teacher, NSR definition or device that nobody named: such tables are compared with none."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


class Source(_Table):
    """Where the numbers come from. Tables with different `teacher`, `nsr` or `teacher_resolution`
    never mix. `teacher_resolution`: of the images of which the teacher's maps were imitated, the
    greatest of all or each sub-stage's own; None where a table is of no distillation of ours."""

    hyperspace: str
    hyperspace_hash: str
    device: str = ""
    teacher: str
    nsr: str
    teacher_resolution: Literal["greatest", "own"] | None = None
    provenance: str
    licence: str
    rows: int
    note: str = ""


class PanelData(_Table):
    """Units of one family, settings, stride and size: `value[i]` belongs to channels
    `pairs[pairs][0][i]` in and `[1][i]` out (0: a head without a width); `interpolated` lists those
    in no row."""

    family: int
    settings: tuple[float, ...]
    stride: Size
    size: Size
    pairs: int
    value: tuple[int, ...]
    interpolated: tuple[int, ...] = ()


class LatencyData(_Table):
    """`granularity`: what was measured as one. `families`: block identities or kernel kinds.
    `coefficients` (ms per unit of a feature) and `limits` make the prior."""

    granularity: Literal["block", "kernel"]
    resolutions: tuple[Size, ...]
    coefficients: dict[str, float]
    limits: dict[str, float]
    families: tuple[str, ...]
    pairs: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    panels: tuple[PanelData, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _need(self.coefficients.keys() == self.limits.keys(), "coefficients and limits differ")
        _need(min(self.coefficients.values(), default=0.0) >= 0, "a coefficient is negative")
        for cins, couts in self.pairs:
            _need(len(cins) == len(couts) > 0, "bad channel pairs")
            _need(min(cins) > 0 and min(couts) >= 0, "bad channel pairs")
        for panel in self.panels:
            _need(0 <= panel.family < len(self.families), "no such family")
            _need(0 <= panel.pairs < len(self.pairs), "no such channel pairs")
            _need(len(panel.value) == len(self.pairs[panel.pairs][0]), "values and channels differ")
            _need(min(panel.value, default=1) > 0, "latencies are positive")
            _need(panel.size > 0 and panel.stride > 0, "sizes are positive")
        return self


class StageLossData(_Table):
    """NSR loss of one (elastic stage, block type): `spacedsl.tables.quality` says how to read it.
    Ranges are what was fitted; `level_a`, `level_b` hold a and b per resolution and
    depth; `shape` the common
    square term; `position` the coefficients per (depth, position), depths ascending; `size` per
    resolution; `knots` the link."""

    stage: int
    block: str
    name: str
    stride: Size
    depths: tuple[int, ...]
    cin: tuple[int, int]
    width: tuple[int, int]
    settings: tuple[tuple[float, ...], ...]
    cin_scale: tuple[float, float]
    width_scale: tuple[float, float]
    level_a: tuple[tuple[float, ...], ...]
    level_b: tuple[tuple[float, ...], ...]
    shape: float
    position: tuple[tuple[float, ...], ...]
    size: tuple[tuple[float, ...], ...]
    knots: tuple[tuple[float, ...], tuple[float, ...]]
    rows: int
    offset: float = 0.0
    offset_uncertainty: float = 0.0
    extrapolated: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        depths, settings = self.depths, self.settings
        _need(bool(depths) and depths[0] > 0 and _ascending(depths), "depths do not ascend")
        _need(all(_ascending(v) and v for v in settings), "settings do not ascend")
        _need(self.cin_scale[1] > 0 and self.width_scale[1] > 0, "scales are positive")
        _need(self.cin[0] > 0 and self.width[0] > 0, "channels are positive")
        counts = [len(v) for v in settings if len(v) > 1]
        plain = 4 + sum(counts)
        products = (sum(counts) ** 2 - sum(n * n for n in counts)) // 2
        columns = plain + 4 + 2 * sum(counts) + products
        _need(_shaped(self.position, sum(depths), columns), "position has another shape")
        _need(_shaped(self.size, len(self.size), plain), "size has another shape")
        for level in (self.level_a, self.level_b):
            _need(_shaped(level, len(self.size), len(depths)), "level has another shape")
        x, y = self.knots
        _need(len(x) == len(y) > 1 and _ascending(x) and _ascending(y), "the link does not rise")
        _need(y[0] > 0, "losses are positive")
        _need(self.stage > 0 and self.offset_uncertainty >= 0, "a stage or uncertainty is negative")
        return self


def _ascending(values: tuple[float | Pair, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _shaped(table: tuple[tuple[float, ...], ...], rows: int, columns: int) -> bool:
    return len(table) == rows and all(len(row) == columns for row in table)


def _shape(table: tuple[tuple[float, ...], ...]) -> list[int]:
    return [len(row) for row in table]


class QualityData(_Table):
    resolutions: tuple[Size, ...]
    stages: tuple[StageLossData, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _need(_ascending(self.resolutions) and bool(self.resolutions), "resolutions do not ascend")
        keys = {(stage.stage, stage.block) for stage in self.stages}
        _need(len(keys) == len(self.stages), "a block type of a stage is there twice")
        for stage in self.stages:
            _need(len(stage.size) == len(self.resolutions), "a stage has other resolutions")
        return self


REFITS = 50
"""Refits that a table carries."""


class CalibrationData(_Table):
    """From NSR losses to accuracies: `log(100 - top1) = a + b log(loss) + c log(r_max / r)`, for
    top-1 in percent and resolutions in pixels. `residual_sd` is of that logarithm, `left_out_sd`
    that of models that the fit had not seen and `left_out` the same in points (roots of mean
    squares). `optimism`: by how many points the best of many predictions is too good, None where
    nobody estimated it. `prior`: the mean and the standard deviation that `c` was shrunk to.
    `refits`: a, b and c of fits to the models with their residuals dealt out anew. `known`: how far
    the models reach."""

    a: float
    b: float
    c: float
    r_max: int
    residual_sd: float
    left_out_sd: float
    left_out: float
    optimism: float | None = None
    prior: tuple[float, float]
    models: tuple[str, ...]
    note: str = ""
    refits: tuple[tuple[float, float, float], ...] = ()
    known: Known | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        rises = min([self.b, *(b for _, b, _ in self.refits)])
        _need(rises > 0, "accuracy does not fall as losses rise")
        _need(self.r_max > 0 and self.residual_sd >= 0, "r_max or residual_sd is negative")
        return self


class StageAccuracyData(_Table):
    """What one (elastic stage, block type) takes from the accuracy: `spacedsl.tables.accuracy`
    says how to read it. `axes`: the seen values of the width and of each setting, canonical order;
    `base` per resolution and depth; `grid` per (depth, position), depths ascending, the values of
    every combination of the axes, the last running fastest."""

    stage: int
    block: str
    name: str
    depths: tuple[int, ...]
    axes: tuple[tuple[float, ...], ...]
    base: tuple[tuple[float, ...], ...]
    grid: tuple[tuple[float, ...], ...]
    rows: int

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        depths = self.depths
        _need(bool(depths) and depths[0] > 0 and _ascending(depths), "depths do not ascend")
        _need(bool(self.axes) and all(v and _ascending(v) for v in self.axes), "axes do not ascend")
        _need(_shaped(self.base, len(self.base), len(depths)), "base has another shape")
        cells = prod(len(values) for values in self.axes)
        _need(_shaped(self.grid, sum(depths), cells), "grid has another shape")
        _need(self.stage > 0, "stages count from 1")
        return self


class AccuracyRefit(_Table):
    """What a fit to resampled rows changes: `shift`, and `base` and `grid` of every entry of the
    table, in its order."""

    shift: float
    base: tuple[tuple[tuple[float, ...], ...], ...]
    grid: tuple[tuple[tuple[float, ...], ...], ...]


class AccuracyData(_Table):
    """Accuracies of trained networks: `top1 = ceiling - exp(sum over stages - shift)`, in percent.
    `form`: whether the blocks of a stage count together or each at its position; `ceiling`, `form`
    and `penalty` (of the ridge) were chosen by cross-validation. `errors`: standard deviations in
    points by predicted logarithm of `ceiling - top1`. `networks` were fitted, `repeated` of them
    trained more than once; `r2`, `tau` and `sd` (points) are those of held-out rows, `optimism` is
    by how many points those of them that were predicted best were predicted too good. `refits`:
    fits to rows that were drawn with replacement, of the same form. `known`: how far the networks
    reach."""

    resolutions: tuple[Size, ...]
    stages: tuple[StageAccuracyData, ...]
    form: Literal["stages", "blocks"]
    ceiling: float
    shift: float
    penalty: float
    errors: tuple[tuple[float, ...], tuple[float, ...]]
    networks: int
    repeated: int
    r2: float
    tau: float
    sd: float
    optimism: float
    refits: tuple[AccuracyRefit, ...] = ()
    known: Known | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _need(_ascending(self.resolutions) and bool(self.resolutions), "resolutions do not ascend")
        keys = {(stage.stage, stage.block) for stage in self.stages}
        _need(len(keys) == len(self.stages), "a block type of a stage is there twice")
        for stage in self.stages:
            _need(len(stage.base) == len(self.resolutions), "a stage has other resolutions")
        shapes = [(_shape(s.base), _shape(s.grid)) for s in self.stages]
        for refit in self.refits:
            refitted = zip(map(_shape, refit.base), map(_shape, refit.grid), strict=True)
            _need(list(refitted) == shapes, "a refit has other entries")
        at, sd = self.errors
        _need(len(at) == len(sd) > 0 and _ascending(at), "errors do not ascend")
        _need(min(sd) >= 0 and 0 < self.ceiling <= 100, "an error or the ceiling is out of range")
        return self


def reach(data: QualityData | AccuracyData, top1: tuple[float, float] = (0.0, 100.0)) -> Known:
    """How far the networks of a table reach at most."""
    ends = as_number(data.resolutions[0]), as_number(data.resolutions[-1])
    return Known(max(stage.stage for stage in data.stages), top1, ends)


class TableFile(_Table):
    """One data file: the fits to one table directory, or to a list of trained networks."""

    format: Literal["spacedsl-table"] = "spacedsl-table"
    version: Literal[1] = 1
    source: Source
    latency: LatencyData | None = None
    quality: QualityData | None = None
    calibration: CalibrationData | None = None
    accuracy: AccuracyData | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _need(self.calibration is None or self.quality is not None, "a calibration without losses")
        _need(self.accuracy is None or self.quality is None, "accuracies beside NSR losses")
        return self
