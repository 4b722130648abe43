"""What exact scores show."""

from __future__ import annotations

from typing import Any

from spacedsl.cli.best import tops_json, tops_lines
from spacedsl.cli.progress import working
from spacedsl.ir.space import Space
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.exact.score import ExactScore, exact_json
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_score import ModelScorer, RowsScorer


def exact_facts(
    space: Space, scorer: ModelScorer | RowsScorer, target: str, top: int, origin: str
) -> tuple[dict[str, Any], str]:
    """A space's exact score and its `top` best subnets under each limit, as plain data and as
    text; progress goes to standard error. `origin`: how the space was named."""
    with working("convolving the stages") as tell:
        result = ExactScorer(scorer).score(space)
        tell("following the best subnets")
        best = BestScorer(scorer) if top else None
        tops = best.top(space, top) if best else ()
    listed = {"top": tops_json(scorer.limits_ms, tops, origin)} if top else {}
    lines = _exact_lines(space.name, target, result)
    lines += tops_lines(scorer.limits_ms, tops, best.unit) if best else []
    return {**exact_json(result), **listed}, "\n".join(lines)


def _exact_lines(name: str, target: str, result: ExactScore) -> list[str]:
    how = "every subnet enumerated" if result.method == "enumerated" else f"{result.error:.1e}"
    lines = [f"{name} on {target}: exact Q-T score {result.score:.6f} (error {how})"]
    for limit in result.limits:
        few = limit.missing >= 0.0005 * result.best
        missing = f"  ({limit.missing:.2f} of the best {result.best} missing)" if few else ""
        lines.append(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    return lines
