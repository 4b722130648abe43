"""CRC-32 of what is kept in files: a flipped bit is an error when it is read. Imports no torch."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

KEY = "checksum"
"""Where it stands in a JSON object."""


def checksum(parts: Iterable[bytes | memoryview]) -> str:
    """Of all parts together, as eight hexadecimal digits."""
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return f"{found:08x}"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the checksum of everything else in it."""
    return {**value, KEY: checksum([_canonical(value)])}


def unsealed(
    value: Mapping[str, Any], where: Path | str, mistake: Callable[[str], Exception]
) -> dict[str, Any]:
    """What `sealed` was given. `mistake` makes the error of an object that is not as it was
    written, from its message."""
    rest = {name: part for name, part in value.items() if name != KEY}
    if KEY not in value:
        raise mistake(f"{where} has no checksum: a version of spacedsl before it had any wrote it")
    if value.get(KEY) != checksum([_canonical(rest)]):
        raise mistake(damaged(where))
    return rest


def damaged(where: Path | str) -> str:
    """The message for a file, or its line, with the wrong checksum."""
    return f"{where} is damaged: its checksum is not that of what it holds"


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
