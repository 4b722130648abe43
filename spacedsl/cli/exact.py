"""What exact scores show."""

from __future__ import annotations

from spacedsl.search.exact.expectation import ExactScore


def exact_lines(space: str, target: str, result: ExactScore) -> list[str]:
    """A space's exact score: a line, and one per limit."""
    how = "every subnet enumerated" if result.method == "enumerated" else f"{result.error:.1e}"
    lines = [f"{space} on {target}: exact Q-T score {result.score:.6f} (error {how})"]
    for limit in result.limits:
        few = limit.missing >= 0.0005 * result.best
        missing = f"  ({limit.missing:.2f} of the best {result.best} missing)" if few else ""
        lines.append(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    return lines
