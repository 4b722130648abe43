"""A run directory: what was run, how, and how it went. Imports no torch.

    resolved.space   the page that is trained, self-contained
    plan.json        its plan
    run.json         settings, data, seed, versions, command
    metrics.jsonl    one JSON object a line
    checkpoint.safetensors

`run.json`, which has the checksums of page and plan, and every line of metrics have a checksum.
A directory holds one run. Going on with it is asked for (`resume`) and needs the same settings;
metrics after the checkpoint are then cut off, since they are measured again."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from spacedsl.checksum import checksum, damaged, sealed, unsealed
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.compiler.supernet_file import plan_json
from spacedsl.files import check_stamp, mend, read_json
from spacedsl_runtime.board import Boards
from spacedsl_runtime.errors import HASH, RunError, shown
from spacedsl_runtime.files import write_atomic

FORMAT = "spacedsl-run"
VERSION = 2

PAGE, PLAN, ABOUT = "resolved.space", "plan.json", "run.json"
METRICS, CHECKPOINT = "metrics.jsonl", "checkpoint.safetensors"

PACKAGES = ("spacedsl", "torch", "numpy", "pillow", "safetensors", "scikit-learn")


@dataclass(frozen=True)
class Description:
    """What a run is: `settings` decide its result; `about` is said besides (command, threads)."""

    plan: SupernetPlan
    settings: Mapping[str, Any]
    about: Mapping[str, Any]


def holds_run(folder: Path, resume: bool) -> bool:
    """Does a folder hold a run? Raises `RunError` where it does and is not to be gone on with."""
    begun = (folder / ABOUT).exists()
    if begun and not resume:
        help = "say --resume to go on with it, or choose another folder"
        raise RunError(f"{folder} holds a run already", help)
    return begun


class Run(AbstractContextManager["Run"]):
    """An open run directory, locked against other runs. `warn` gets what differs from the machine
    that began it. Raises `RunError`."""

    def __init__(
        self,
        folder: Path,
        description: Description,
        resume: bool,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder, self.checkpoint = folder, folder / CHECKPOINT
        self.boards: Boards | None = None
        begun = holds_run(folder, resume)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._log = _open(folder / METRICS)
        except OSError as error:
            raise cannot_write(folder, error) from None
        try:
            lock(self._log.fileno(), folder)
            if begun:
                _compare(folder, description, warn)
            else:
                _describe(folder, description)
        except BaseException:
            self._log.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.boards is not None:
                self.boards.close()
            self._log.close()
        except OSError:  # what could not be written is already reported
            if kind is None:
                raise

    def rewind(self, log_bytes: int) -> None:
        """Cut metrics off after `log_bytes`."""
        size = os.fstat(self._log.fileno()).st_size
        if size < log_bytes:
            path = self.folder / METRICS
            raise RunError(f"{path} has {size} bytes, {log_bytes} at the checkpoint: it was edited")
        self._log.truncate(log_bytes)
        read_metrics(self.folder)
        self._log.seek(log_bytes)

    def log(self, entry: Mapping[str, Any]) -> None:
        """Write one line of metrics, and show its numbers where they are shown besides."""
        try:
            self._log.write(json.dumps(sealed(entry), allow_nan=False).encode() + b"\n")
            self._log.flush()
        except OSError as error:
            raise cannot_write(self.folder / METRICS, error) from None
        if self.boards is not None:
            self.boards.record(entry)

    def sync(self) -> int:
        """The bytes of metrics so far, which are on the disk then."""
        os.fsync(self._log.fileno())
        return self._log.tell()

    def write(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write a JSON file beside the others."""
        path = self.folder / name
        _write(path, _json(value))
        return path


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def lock(handle: int, folder: Path) -> None:
    """Hold an open file of a run against other processes until it is closed. Raises `RunError`
    where another one holds it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"another process writes the run {folder}"
            raise RunError(message, "wait for its end, or choose another folder") from None


def _describe(folder: Path, description: Description) -> None:
    """`run.json` comes last: a directory without it holds no run."""
    _write(folder / PAGE, description.plan.page.encode())
    _write(folder / PLAN, _json(sealed(plan_json(description.plan))))
    files = {name: checksum_of(folder / name) for name in (PAGE, PLAN)}
    _write(folder / ABOUT, _json(sealed({**_about(description), "files": files})))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """What a run has logged. Raises `RunError` as `read_lines` does."""
    return read_lines(folder / METRICS)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a log. Raises `RunError` for a line that is not as it was written."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        where = f"{path}:{number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise RunError(damaged(where)) from None
        found.append(unsealed(entry if isinstance(entry, dict) else {}, where, RunError))
    return found


def read_about(folder: Path, format: str = FORMAT, version: int = VERSION) -> dict[str, Any]:
    """What a directory's `run.json` says. Raises `RunError` where it, or a file that it has the
    checksum of, is not as it was written."""
    path = folder / ABOUT
    found = read_json(path, RunError)
    check_stamp(found, format, version, lambda message: RunError(f"{path}: {message}"))
    found = unsealed(found, path, RunError)
    files = found.get("files")
    known = files if isinstance(files, dict) else {}
    for name in (PAGE, PLAN):
        if name in known and checksum_of(folder / name) != known[name]:
            raise RunError(damaged(folder / name))
    return found


def checksum_of(path: Path) -> str:
    """Of a file. Raises `RunError`."""
    try:
        return checksum([path.read_bytes()])
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from None


def _about(description: Description) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "space": description.plan.name,
        "hash": description.plan.hash,
        "settings": dict(description.settings),
        **description.about,
        "versions": {"python": platform.python_version(), **versions()},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Of the packages that results depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _compare(folder: Path, description: Description, warn: Callable[[str], None]) -> None:
    found, mine = read_about(folder), _about(description)
    differing = differences(found.get("settings"), json.loads(_json(mine))["settings"])
    if differing:
        message = f"{folder} is another run: {'; '.join(differing)}"
        raise RunError(message, "go on with the run's settings, or choose another folder")
    for key in ("versions", "machine", "threads", "device"):
        for difference in differences({key: found.get(key)}, {key: mine.get(key)}):
            warn(f"{difference}: the last bits of the weights may differ")
    for difference in differences(
        {"processes": found.get("processes")}, {"processes": mine.get("processes")}
    ):
        warn(f"{difference}: batch norms see other parts of a batch from here on")


def differences(theirs: object, mine: object) -> list[str]:
    """`KEY is A, this run's is B`, one per setting."""
    if not (isinstance(theirs, dict) and isinstance(mine, dict)):
        return ["its settings are missing"]
    return [
        _difference(key, theirs.get(key), mine.get(key))
        for key in sorted(theirs.keys() | mine.keys())
        if theirs.get(key) != mine.get(key)
    ]


HASHED = {
    "hash": "the space",
    "hyperspace": "the hyperspace",
    "data": "the data (names, labels or bytes of images)",
    "fp32": "the FP32 checkpoint",
    "init": "the checkpoint of --init",
    "teacher": "the teacher",
}
"""What settings stand for that are hashes."""


def _difference(key: str, theirs: object, mine: object) -> str:
    if all(HASH.fullmatch(str(value)) for value in (theirs, mine)):
        what = HASHED.get(key, key)
        return f"{what} changed since: {shown(theirs)} then, {shown(mine)} now"
    return f"{key} is {_said(theirs)}, this run's is {_said(mine)}"


def _said(value: object) -> str:
    return "missing" if value is None else json.dumps(value)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    write_atomic(path, lambda file: file.write(data), RunError)


def cannot_write(path: Path, error: OSError) -> RunError:
    """The error for a file or folder that cannot be written."""
    return RunError(f"cannot write {path}: {error.strerror or error}", mend(error))
