"""Libraries that write to standard error themselves, which breaks bars and our own lines."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def quiet_library() -> Iterator[None]:
    """Keep back what native code writes to standard error; shown only where the block raises."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(STDERR)
        os.dup2(kept.fileno(), STDERR)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(before, STDERR)
            if failed:
                kept.seek(0)
                with os.fdopen(os.dup(before), "wb") as shown:
                    shutil.copyfileobj(kept, shown)
            os.close(before)
