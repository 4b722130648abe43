"""Writing files whole or not at all. Imports no torch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from spacedsl_runtime.errors import SpacedslError


def write_atomic(
    path: Path | str, write: Callable[[IO[bytes]], object], mistake: Callable[[str], SpacedslError]
) -> None:
    """What `write` puts into a file, in place of `path`; `mistake` makes the error from its
    message."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise mistake(f"cannot write {path}: {error.strerror or error}") from None
