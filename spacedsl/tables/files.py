"""Table files: load the shipped ones by name or any by path, save atomically."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from spacedsl.diagnostics import fault, one_of, suggest
from spacedsl.files import read_bounded, write_atomic
from spacedsl.json_files import first_mistake, read_sealed, sealed_text
from spacedsl.lang.tables import FOLDER, is_path, shipped
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.latency import FittedLatency
from spacedsl.tables.quality import FittedQuality
from spacedsl.tables.schema import TableFile

MAX_BYTES = 32 << 20

DISTILLED = "quality.json"
"""The table in the folder of a distillation."""


def table_path(name: str) -> Path:
    """Where a table is: a path if it has a separator or ends in .json, or is the folder of a
    distillation (which holds one), else a shipped one."""
    known, path = shipped(), Path(name)
    if is_path(name) or os.sep in name or (name not in known and (path / DISTILLED).exists()):
        return path / DISTILLED if path.is_dir() else path
    if name not in known:
        close = suggest(name, known)
        hint = (
            f"did you mean `{close}`?" if close else f"{one_of(known)}, or a path to a .json file"
        )
        raise fault("table-missing", f"no table named `{name}`", hint)
    return FOLDER / f"{name}.json"


def load_table(name: str | Path) -> TableFile:
    """Read a table file. Raises `SpaceError` where it is missing, malformed or of another
    version."""
    path = table_path(name) if isinstance(name, str) else name
    return _parse(str(path), read_bounded(path, MAX_BYTES))


@lru_cache(maxsize=8)
def _parse(path: str, data: bytes) -> TableFile:
    try:
        return read_sealed(TableFile, data, path, "table-file")
    except ValidationError as error:
        raise fault(
            "table-file",
            f"{path} is not a table of this version: {first_mistake(error)}",
            "fit it again with `spacedsl tables fit`",
        ) from None


def load_latency(name: str | Path) -> FittedLatency:
    """The latency model of a table. Raises `SpaceError`, also where the table has none."""
    table = load_table(name)
    if table.latency is None:
        raise fault("table-part", f"table `{name}` has no latencies")
    return FittedLatency(table.latency)


def load_quality(name: str | Path) -> FittedQuality | FittedAccuracy:
    """The quality model of a table: its accuracies, else its NSR losses. Raises `SpaceError`, also
    where the table has neither."""
    table = load_table(name)
    if table.accuracy is not None:
        return FittedAccuracy(table.accuracy)
    if table.quality is None:
        raise fault("table-part", f"table `{name}` has neither NSR losses nor accuracies")
    return FittedQuality(table.quality, table.calibration)


def fitted_models(table: TableFile) -> tuple[FittedLatency, FittedQuality]:
    """Both models of a table. Raises `SpaceError` where one is missing."""
    if table.latency is None or table.quality is None:
        raise fault("table-part", "the table lacks latencies or losses")
    return FittedLatency(table.latency), FittedQuality(table.quality, table.calibration)


def save_table(table: TableFile, path: Path) -> None:
    """Write a table file atomically; the same table gives the same bytes."""
    write_atomic(path, sealed_text(table.model_dump_json(exclude_none=True)))
