"""NSR losses that this project's own distillation measured, as rows and as a fitted table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.passes.bind import stage_sizes
from spacedsl.tables.fit_quality import fit_quality
from spacedsl.tables.rows import SubstageRows, elastic_stage
from spacedsl.tables.schema import Source, TableFile


def substage_rows(
    space: Space, number: int, choice: int, rows: Sequence[Mapping[str, Any]]
) -> tuple[SubstageRows, ...]:
    """The rows of one (elastic stage, block type), one part per width window. They have losses
    only: nothing was timed."""
    windows = sorted({int(row["window"]) for row in rows})
    return tuple(
        _window(space, number, choice, window, [r for r in rows if r["window"] == window])
        for window in windows
    )


def _window(
    space: Space, number: int, choice: int, window: int, rows: Sequence[Mapping[str, Any]]
) -> SubstageRows:
    stage = elastic_stage(space, number)
    count, deepest = len(rows), stage.depths[-1]
    widths = np.zeros((count, deepest), dtype=np.int64)
    settings = np.zeros((count, deepest, len(stage.choices[choice].numeric)))
    for i, row in enumerate(rows):
        for d, (width, values) in enumerate(row["blocks"]):
            widths[i, d] = width
            settings[i, d] = values
    resolutions = np.array([row["resolution"] for row in rows])
    position = space.elastic[number - 1]
    heights = {int(r): stage_sizes(space, int(r))[position] for r in np.unique(resolutions)}
    unknown = np.full(count, np.nan)
    return SubstageRows(
        number,
        choice,
        window,
        size=np.array([heights[int(r)] for r in resolutions]),
        resolution=resolutions,
        cin=np.array([row["cin"] for row in rows]),
        depth=np.array([len(row["blocks"]) for row in rows]),
        widths=widths,
        settings=settings,
        loss=np.array([float(row["loss"]) for row in rows]),
        flops_m=unknown,
        params_m=unknown,
        latency_ms=unknown,
        part=np.arange(count, dtype=np.uint8) % 10,
    )


def distilled_table(
    space: Space, files: Sequence[SubstageRows], *, teacher: str, nsr: str, data: str, note: str
) -> TableFile:
    """The quality table of distilled losses, stamped with hyperspace, teacher and data."""
    source = Source(
        hyperspace=space.name,
        hyperspace_hash=space_identity(space),
        teacher=teacher,
        nsr=nsr,
        provenance=f"spacedsl distill on {data}",
        licence="",
        rows=sum(len(rows) for rows in files),
        note=note,
    )
    return TableFile(source=source, quality=fit_quality(files, space))
