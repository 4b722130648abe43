"""NSR losses that this project's own distillation measured, as rows and as a fitted table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spacedsl.checksum import unsealed
from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space, Stage
from spacedsl.json_files import first_mistake
from spacedsl.operators.size import Pair, as_number, from_json
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.tables.fit_quality import fit_quality
from spacedsl.tables.rows import MAX_FILE_BYTES, SubstageRows, elastic_stage
from spacedsl.tables.schema import Source, TableFile

ABOUT = "run.json"
JOB = re.compile(r"stage([1-9][0-9]?) ([0-9]{1,2}) .*")
NSR = {"teacher": "teacher-variance", "authors": "student-variance"}
"""By whose variance the error is divided, as `distill` and tables name it."""

Count = Annotated[int, Field(ge=0, le=1 << 20)]


class _Row(BaseModel):
    """One row of a job's file (`spacedsl_runtime.distill.table.Row`)."""

    model_config = ConfigDict(allow_inf_nan=False)

    window: Count
    resolution: Annotated[int, Field(ge=1, le=1 << 14)] | Pair
    cin: Annotated[int, Field(ge=1, le=1 << 20)]
    blocks: list[tuple[Count, list[float | Pair | str]]]
    loss: Annotated[float, Field(ge=0)]


class _Job(BaseModel):
    """A job's file; one that failed has no rows."""

    job: str
    rows: list[_Row] = []


class _Settings(BaseModel):
    """Runs of before have no `teacher_resolution`."""

    hyperspace: str
    data: str
    teacher: str
    nsr: Literal["teacher", "authors"]
    teacher_resolution: Literal["greatest", "own"] = "own"


class _Run(BaseModel):
    """What `run.json` says of a distillation."""

    settings: _Settings
    data: str
    teacher: str
    target: str | None = None


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
    settings = np.zeros((count, deepest, len(stage.choices[choice].chosen)))
    for i, row in enumerate(rows):
        for d, (width, values) in enumerate(row["blocks"]):
            widths[i, d] = width
            settings[i, d] = [as_number(from_json(value)) for value in values]
    resolutions = [from_json(row["resolution"]) for row in rows]
    position = space.elastic[number - 1]
    sizes = {r: as_number(stage_sizes(space, r)[position]) for r in set(resolutions)}
    unknown = np.full(count, np.nan)
    return SubstageRows(
        number,
        choice,
        window,
        size=np.array([sizes[r] for r in resolutions]),
        resolution=np.array([as_number(r) for r in resolutions]),
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


def fit_run(folder: Path, space: Space) -> TableFile:
    """The quality table of all jobs of a distillation's folder that ended well, stamped with
    hyperspace, teacher and data. Raises `SpaceError` for a damaged file, and for the run of another
    hyperspace."""
    run = _read(folder / ABOUT, _Run)
    identity = space_identity(space)
    if run.settings.hyperspace != identity:
        message = f"{folder} is of hyperspace {run.settings.hyperspace[:16]}, {space.name} is"
        raise fault("table-mix", f"{message} {identity[:16]}")
    files: list[SubstageRows] = []
    for path in sorted((folder / "jobs").glob("*.json")):
        job = _read(path, _Job)
        number, choice = _numbers(path, job.job, space)
        rows = [row.model_dump() for row in job.rows]
        for row in rows:
            _check(path, row, elastic_stage(space, number), choice)
        files += substage_rows(space, number, choice, rows)
    files.sort(key=lambda rows: (rows.number, rows.choice, rows.window))
    target = run.target
    source = Source(
        hyperspace=space.name,
        hyperspace_hash=identity,
        teacher=f"{run.teacher} {run.settings.teacher[:16]}",
        nsr=NSR[run.settings.nsr],
        teacher_resolution=run.settings.teacher_resolution,
        provenance=f"spacedsl distill on {run.data} {run.settings.data[:16]}",
        licence="",
        rows=sum(len(rows) for rows in files),
        note=f"INT8 losses, LSQ+ for {target}" if target else "FP32 losses",
    )
    return TableFile(source=source, quality=fit_quality(files, space))


def is_run(folder: Path) -> bool:
    """Is this the folder of a distillation?"""
    return (folder / ABOUT).is_file() and (folder / "jobs").is_dir()


def _numbers(path: Path, name: str, space: Space) -> tuple[int, int]:
    found = JOB.fullmatch(name)
    number, choice = (int(part) for part in found.groups()) if found else (0, 0)
    if not 0 < number <= len(space.elastic):
        raise fault("table-row", f"{path}: {space.name} has no job `{name[:80]}`")
    if choice >= len(elastic_stage(space, number).choices):
        raise fault("table-row", f"{path}: {space.name} has no job `{name[:80]}`")
    return number, choice


def _check(path: Path, row: Mapping[str, Any], stage: Stage, choice: int) -> None:
    """Refuse a row of other sub-stages than the stage has."""
    chosen = stage.choices[choice].chosen
    windows = stage.windows or ((),)
    fits = row["window"] < len(windows) and len(row["blocks"]) in stage.depths
    for width, values in row["blocks"] if fits else ():
        fits &= width in (windows[row["window"]] or (0,)) and len(values) == len(chosen)
        offered = zip(chosen, values, strict=False)
        fits &= all(value in arg.values for arg, value in offered)
    if not fits:
        raise fault(
            "table-row", f"{path}: {str(dict(row))[:80]}... is no sub-stage of {stage.name}"
        )


Read = TypeVar("Read", bound=BaseModel)


def _read(path: Path, model: type[Read]) -> Read:
    try:
        data = json.loads(read_bounded(path, MAX_FILE_BYTES))
    except (ValueError, RecursionError) as error:
        raise fault("table-row", f"{path} is damaged: {error}") from None
    found = data if isinstance(data, dict) else {}
    try:
        return model.model_validate(unsealed(found, path, partial(fault, "table-row")))
    except ValidationError as error:
        raise fault("table-row", f"{path} is damaged: {first_mistake(error)}") from None
