"""The directory of a distillation: what was asked for, and one file per finished job.

    resolved.space   the hyperspace, self-contained
    run.json         settings: hyperspace, data, teacher, recipe
    jobs/NAME.jsonl  metrics of an ended job: losses by step, one JSON object a line
    jobs/NAME.json   its rows, or why it failed
    jobs/NAME/       its losses for TensorBoard, where that is installed

A job's file is its journal entry: written whole when it ends, and never again once it ended well.
All JSON here has checksums, `run.json` that of the page too.
So jobs can be killed, retried and run in any order; a directory is gone on with under the same
settings only, by one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacedsl.checksum import sealed, unsealed
from spacedsl.files import read_json
from spacedsl_runtime.board import Boards, Warn
from spacedsl_runtime.errors import RunError
from spacedsl_runtime.files import write_atomic
from spacedsl_runtime.train.run import (
    ABOUT,
    PAGE,
    cannot_write,
    checksum_of,
    differences,
    holds_run,
    lock,
    read_about,
    versions,
)

FORMAT = "spacedsl-distillation"
VERSION = 2

LOCK = "lock"
"""An empty file that the process that writes a directory holds."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a directory, and keep other processes from writing it meanwhile. Raises `RunError`."""
    try:
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        lock(handle, folder)
        yield
    finally:
        os.close(handle)


def begin(
    folder: Path,
    page: str,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    resume: bool,
    warn: Callable[[str], None],
) -> None:
    """Say in a held directory what was asked for, or check that it is to be gone on with.
    `settings` are plain JSON; `warn` gets what differs besides them. Raises `RunError`."""
    if holds_run(folder, resume):
        found = read_about(folder, FORMAT, VERSION)
        differing = differences(found.get("settings"), dict(settings))
        if differing:
            message = f"{folder} is another run: {'; '.join(differing)}"
            raise RunError(message, "go on with the run's settings, or choose another folder")
        mine = {"versions": versions(), "threads": about.get("threads")}
        for difference in differences({key: found.get(key) for key in mine}, mine):
            warn(f"{difference}: the last bits of losses may differ")
        return
    stamp = {"format": FORMAT, "version": VERSION}
    _write(folder / PAGE, page.encode())
    rest = {"versions": versions(), "files": {PAGE: checksum_of(folder / PAGE)}}
    _write(folder / ABOUT, _json({**stamp, "settings": settings, **about, **rest}))


def finished(folder: Path, name: str) -> list[dict[str, Any]] | None:
    """The rows of a job, None where it has not ended well. Raises `RunError` for a damaged file."""
    path = _path(folder, name, "json")
    if not path.exists():
        return None
    found = unsealed(read_json(path, RunError), path, damaged_job)
    if found.get("job") != name or not isinstance(found.get("rows", []), list):
        raise RunError(f"{path} is not the result of {name}", AGAIN)
    return found.get("rows")


AGAIN = "remove it to run the job again"


def damaged_job(message: str) -> RunError:
    """The error of a job's file that is not as it was written."""
    return RunError(message, AGAIN)


def save_rows(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A job ended well; its metrics are saved."""
    _write(_path(folder, name, "json"), _json({"job": name, "rows": list(rows)}))


def save_failure(folder: Path, name: str, why: str) -> None:
    """A job failed; the next run tries it again."""
    _write(_path(folder, name, "json"), _json({"job": name, "failed": why}))


def save_metrics(
    folder: Path,
    name: str,
    metrics: Sequence[Mapping[str, Any]],
    logs: Iterable[str] = (),
    warn: Warn = lambda _: None,
) -> None:
    """How a job went, for TensorBoard and `logs` too."""
    path = _path(folder, name, "jsonl")
    _write(path, b"".join(map(_json, metrics)))
    boards = Boards(path.with_suffix(""), 0, logs, warn)
    for entry in metrics:
        boards.record(entry)
    boards.close()


def _path(folder: Path, name: str, suffix: str) -> Path:
    return folder / "jobs" / f"{name.replace(' ', '.')}.{suffix}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(sealed(value), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    write_atomic(path, lambda file: file.write(data), RunError)
