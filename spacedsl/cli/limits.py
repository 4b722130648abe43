"""Times on the command line: latency limits (`8,10,15,20,25ms`) and budgets (`5m`)."""

from __future__ import annotations

import re

from spacedsl.diagnostics import fault
from spacedsl.lang.targets import milliseconds

LONGEST_S = 86400.0


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


def parse_weights(text: str | None) -> tuple[float, ...]:
    """Weights of limits in turn, `1,1,2`; empty where none are given. Raises `SpaceError`."""
    words = [] if text is None else [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", word) for word in words):
        message = f"`{text}` is not a list of weights"
        raise fault("bad-option", message, "write one number per limit, e.g. 1,1,1,2,2")
    return tuple(map(float, words))


def parse_seconds(text: str) -> float:
    """`5m`, `90s`, `300`, `1h` in seconds. Raises `SpaceError`."""
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|)", text)
    found = float(parts[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[parts[2]] if parts else 0.0
    if not 0 < found < LONGEST_S:
        raise fault("bad-option", f"`{text}` is no time to measure", "write 5m or 90s")
    return found
