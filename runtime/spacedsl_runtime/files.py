"""Writing files whole or not at all. Imports no torch."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from spacedsl.files import mend
from spacedsl_runtime.errors import SpacedslError


def write_atomic(
    path: Path | str, write: Callable[[IO[bytes]], object], mistake: Callable[[str], SpacedslError]
) -> None:
    """What `write` puts into a file, in place of `path`, with the permissions that a new file gets
    here; `mistake` makes the error from its message."""
    target = Path(path)
    try:
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with beside.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        refused = mistake(f"cannot write {path}: {error.strerror or error}")
        refused.help = mend(error)
        raise refused from None
