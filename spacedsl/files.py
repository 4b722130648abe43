"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from spacedsl.diagnostics import fault


def write_atomic(path: Path, text: str) -> None:
    """Replace `path` by `text`, keeping its permissions. After a crash or a full disk the old
    file is still there. Raises `SpaceError`."""
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise fault("cannot-write", f"cannot write {path}: {error.strerror or error}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
