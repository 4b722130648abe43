"""Files written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacedsl.diagnostics import SpaceError, fault

ALLOWED = "whoever runs this must be allowed to; a folder needs the right to enter it too"
MENDS = {
    errno.EACCES: ALLOWED,
    errno.EPERM: ALLOWED,
    errno.ENOSPC: "make room on that disk, or name a place on another one",
    errno.EDQUOT: "make room, or name a place on another disk",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "raise how many files may be open, as with `ulimit -n 4096`",
}
"""What to do where the system refuses, by the number of its error."""


def mend(error: Exception) -> str | None:
    """What to do about an error of the system, where that is known."""
    return MENDS.get(getattr(error, "errno", None) or 0)


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes, whatever its size says of it. Raises `SpaceError` where it cannot be read or
    has more than `limit` bytes."""
    check_meant(path)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        why = error.strerror or error
        raise fault("cannot-read", f"cannot read {path}: {why}", mend(error)) from None
    if len(data) > limit:
        raise fault("too-large", f"{path} is larger than {limit:,} bytes")
    return data


def check_meant(path: Path) -> None:
    """Raises `SpaceError` for a path that only a shell or a browser understands: `~/x`,
    `https://x`."""
    first, said = path.parts[:1], str(path)
    if first and first[0].startswith("~") and not Path(first[0]).exists():
        whole = os.path.expanduser(said)
        meant = "the whole path" if whole == said else whole
        help = f"a shell reads `~` only where it begins a word without quotes: write {meant}"
        raise fault("cannot-read", f"there is no folder named {first[0]}", help)
    if re.match(r"[a-z][a-z0-9+]+:/", said) and not Path(first[0]).exists():
        message = f"{said.replace(':/', '://', 1)} is no file of this machine"
        help = "nothing is fetched from elsewhere: download it, and write where the file is"
        raise fault("cannot-read", message, help)


MAX_JSON = 64 << 20


def read_json(path: Path, mistake: Callable[[str], Exception]) -> dict[str, Any]:
    """The JSON object in a file; `mistake` makes the error from its message."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON + 1)
        if len(text) > MAX_JSON:
            raise mistake(f"{path} is larger than {MAX_JSON >> 20} MB")
        data = json.loads(text.decode())
    except OSError as error:
        raise mistake(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise mistake(f"{path} is no JSON, or cut short: {error}") from None
    if not isinstance(data, dict):
        raise mistake(f"{path} holds no JSON object")
    return data


def check_stamp(
    data: Mapping[str, Any], format: str, version: int, mistake: Callable[[str], Exception]
) -> None:
    """Refuse a JSON object of another format or version, naming both."""
    found = (data.get("format"), data.get("version"))
    if found != (format, version):
        have = f"format {found[0]!r}, version {found[1]!r}"
        raise mistake(f"this version reads format {format!r}, version {version}; it is {have}")


def check_writable(path: Path) -> None:
    """Raises `SpaceError` where `write_atomic` could not write `path`: for before the work whose
    result it is to be. Nothing is left of the attempt."""
    check_meant(path)
    try:
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not target.exists() or target.is_file():
            _attempt(target.parent)
        elif not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unwritable(path, error) from None


def check_folder(path: Path) -> None:
    """As `check_writable` for a folder, which need not be there, nor those above it."""
    check_meant(path)
    try:
        target = path.resolve()
        while not target.exists():
            target = target.parent
        if not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        _attempt(target)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unwritable(path, error) from None


def _attempt(folder: Path) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".spacedsl.")
    os.close(handle)
    Path(name).unlink()


def _unwritable(path: Path, error: Exception) -> SpaceError:
    why = getattr(error, "strerror", None) or error
    absent = isinstance(error, FileNotFoundError) and not path.absolute().parent.exists()
    help = f"make its folder first: {path.parent}" if absent else mend(error)
    return fault("cannot-write", f"cannot write {path}: {why}", help)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` (text as UTF-8), keeping its permissions. After a crash or a full
    disk the old file is still there. What is no file (a pipe, a device) is written to. Raises
    `SpaceError`."""
    data = content.encode() if isinstance(content, str) else content
    try:
        target = path.resolve()
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)
        else:
            _replace(target, data)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name with a zero
        raise _unwritable(path, error) from None


def _replace(target: Path, data: bytes) -> None:
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
