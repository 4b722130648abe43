"""Check a table directory against the compiler's costs and the fitted latency and quality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spacedsl.ir.space import Space
from spacedsl.passes.cost import site_cost
from spacedsl.search.protocols import Coverage, LatencyModel, QualityModel
from spacedsl.tables.blocks import BlockIndex, family, index_blocks
from spacedsl.tables.fit_quality import Substages, substages
from spacedsl.tables.quality import stage_totals
from spacedsl.tables.rows import SubstageRows
from spacedsl.tables.solve import Floats
from spacedsl.tables.statistics import kendall_tau, r_squared


@dataclass(frozen=True, slots=True)
class FlopsReport:
    max_rel_error: float


@dataclass(frozen=True, slots=True)
class ParamsReport:
    """In millions."""

    max_abs_error: float


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """Shares of all rows. `covered`: every block has a number; `measured`: every block was fitted
    to rows that contain it. A row that is not covered is within nothing."""

    covered: float
    measured: float
    within_1: float
    within_5: float
    within_10: float


@dataclass(frozen=True, slots=True)
class CellReport:
    """One (elastic stage, block type)."""

    stage: int
    block: str
    rows: int
    r2: float
    tau: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Averages over cells; a cell that is not covered counts 0. `covered`: share of rows."""

    r2: float
    tau: float
    covered: float
    cells: tuple[CellReport, ...]


@dataclass(frozen=True, slots=True)
class Report:
    rows: int
    flops: FlopsReport
    params: ParamsReport
    latency: LatencyReport
    quality: QualityReport

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def verify(
    files: Sequence[SubstageRows], space: Space, latency: LatencyModel, quality: QualityModel
) -> Report:
    """Compare every row of `files` (see `rows.read_directory`) with costs and fits."""
    index = index_blocks(files, space)
    flops, params = _costs(files, index)
    return Report(
        rows=index.rows,
        flops=flops,
        params=params,
        latency=_latency(files, index, latency),
        quality=_quality(files, space, quality),
    )


def _column(files: Sequence[SubstageRows], name: str) -> Floats:
    return np.concatenate([getattr(rows, name) for rows in files])


def _costs(files: Sequence[SubstageRows], index: BlockIndex) -> tuple[FlopsReport, ParamsReport]:
    costs = [site_cost(site) for site in index.sites]
    flops = index.totals(np.array([cost.flops for cost in costs], dtype=float)) / 1e6
    params = index.totals(np.array([cost.params for cost in costs], dtype=float)) / 1e6
    relative = np.abs(flops / _column(files, "flops_m") - 1.0)
    absolute = np.abs(params - _column(files, "params_m"))
    return FlopsReport(float(relative.max())), ParamsReport(float(absolute.max()))


def _latency(
    files: Sequence[SubstageRows], index: BlockIndex, model: LatencyModel
) -> LatencyReport:
    predicted = model.predict(index.sites)
    total = index.totals(predicted.ms)
    unmeasured = index.totals((predicted.coverage > Coverage.MEASURED).astype(float))
    with np.errstate(invalid="ignore"):
        error = np.abs(total / _column(files, "latency_ms") - 1.0)
    error = np.where(np.isnan(error), np.inf, error)
    return LatencyReport(
        covered=float(np.isfinite(error).mean()),
        measured=float((unmeasured == 0).mean()),
        within_1=float((error <= 0.01).mean()),
        within_5=float((error <= 0.05).mean()),
        within_10=float((error <= 0.10).mean()),
    )


def _quality(files: Sequence[SubstageRows], space: Space, model: QualityModel) -> QualityReport:
    found = list(_cells(substages(files, space), model))
    cells = [cell for cell, _ in found]
    covered = sum(count for _, count in found)
    return QualityReport(
        r2=float(np.mean([cell.r2 for cell in cells])),
        tau=float(np.mean([cell.tau for cell in cells])),
        covered=covered / sum(cell.rows for cell in cells),
        cells=tuple(cells),
    )


def _cells(cells: Sequence[Substages], model: QualityModel) -> Iterator[tuple[CellReport, int]]:
    """Each cell's report, and how many of its rows are covered."""
    for cell in cells:
        rows, name = len(cell.loss), cell.choice.block.name
        loss = model.stage(cell.number, cell.choice)
        predicted = np.full(rows, np.nan)
        if loss is not None:
            arrays = (cell.resolution, cell.cin, cell.depth, cell.widths, cell.settings)
            predicted = loss.link(stage_totals(loss, family(cell.choice).order, arrays))
        seen = ~np.isnan(predicted)
        r2 = tau = 0.0
        if seen.all() and rows > 1:
            r2, tau = r_squared(cell.loss, predicted), kendall_tau(cell.loss, predicted)
        yield CellReport(cell.number, name, rows, r2, tau), int(seen.sum())
