"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from spacedsl.diagnostics import fault


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes, whatever its size says of it. Raises `SpaceError` where it cannot be read or
    has more than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise fault("cannot-read", f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > limit:
        raise fault("too-large", f"{path} is larger than {limit:,} bytes")
    return data


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
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
        why = getattr(error, "strerror", None) or error
        raise fault("cannot-write", f"cannot write {path}: {why}") from None


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
