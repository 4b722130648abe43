"""What exact scores show."""

from __future__ import annotations

from rich.console import Console

from spacedsl.cli.boundary import Format, emit
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.search.exact.score import ExactScore, exact_json
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_score import ModelScorer, RowsScorer


def show_exact(space: Space, scorer: ModelScorer | RowsScorer, target: str, format: Format) -> None:
    """Score a space exactly and print it; progress goes to standard error."""
    with Console(stderr=True).status("convolving the stages"):
        result = ExactScorer(scorer).score(space)
    if format is Format.json:
        identity = {"space": space.name, "hash": space_identity(space)}
        emit({**identity, "target": target, **exact_json(result)})
        return
    print_exact(space.name, target, result)


def print_exact(name: str, target: str, result: ExactScore) -> None:
    """For people."""
    how = "every subnet enumerated" if result.method == "enumerated" else f"{result.error:.1e}"
    print(f"{name} on {target}: exact Q-T score {result.score:.6f} (error {how})")
    for limit in result.limits:
        few = limit.missing >= 0.0005 * result.best
        missing = f"  ({limit.missing:.2f} of the best {result.best} missing)" if few else ""
        print(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
