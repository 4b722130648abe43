"""Latency limits on the command line: `8,10,15,20,25ms`."""

from __future__ import annotations

import re

from spacedsl.diagnostics import fault
from spacedsl.lang.targets import milliseconds


def parse_limits(text: str | None) -> tuple[float, ...]:
    """Limits in milliseconds, ascending; empty where none are given. A unit at the end serves all
    that have none; without any, milliseconds. Raises `SpaceError`."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    unit = re.sub(r"[0-9.]", "", words[-1]) or "ms"
    limits = [milliseconds(w if re.search(r"[a-z]", w) else w + unit) for w in words]
    found = tuple(sorted(limit for limit in limits if limit is not None and limit > 0))
    if len(found) != len(words) or len(set(found)) != len(found):
        help = "write times that differ, e.g. 8,10,15,20,25ms"
        raise fault("bad-limits", f"`{text}` is not a list of latency limits", help)
    return found
