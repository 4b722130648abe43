"""How fast pages are read: `python benchmarks/language.py`. Prints JSON; bounds are in brackets.

check_s: `spacedsl check` on a library page in a fresh process, median of ten [0.35].
lines_per_s: text to tree, on the library's pages joined [15,000].
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from spacedsl.lang.page import library
from spacedsl.syntax.parser import parse_any
from spacedsl.text import Source

RUNS = 10
LINES = 5_000


def check_s(page: str) -> float:
    """Seconds of wall time."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "spacedsl", "check", page], check=True, capture_output=True
        )
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def lines_per_s() -> float:
    """Best of several runs."""
    pages = [p.read_text(encoding="utf-8") for p in sorted(library().rglob("*.space"))]
    text = "\n".join(pages)
    while text.count("\n") < LINES:
        text += "\n" + text
    source = Source("pages", text)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        parsed = parse_any(source)
        times.append(time.perf_counter() - start)
        if parsed.errors:
            raise SystemExit(parsed.errors[0].message)
    return text.count("\n") / min(times)


if __name__ == "__main__":
    found = {"check_s": round(check_s("vnni"), 3), "lines_per_s": round(lines_per_s())}
    print(json.dumps(found))
