"""What exact scores show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from spacedsl.cli.pages import page_in
from spacedsl.ir.space import Space
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.search.exact.best import Best, best_subnets
from spacedsl.search.exact.score import ExactScore, exact_json
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_score import ModelScorer, RowsScorer

Tops = tuple[tuple[float, tuple[Best, ...]], ...]
"""Per limit in ms, the best subnets."""


def exact_facts(
    space: Space, scorer: ModelScorer | RowsScorer, target: str, top: int, origin: str
) -> tuple[dict[str, Any], str]:
    """A space's exact score and its `top` best subnets under each limit, as plain data and as
    text; progress goes to standard error. `origin`: how the space was named."""
    with Console(stderr=True).status("convolving the stages") as status:
        result = ExactScorer(scorer).score(space)
        status.update("following the best subnets")
        tops = best_subnets(scorer, space, top) if top else ()
    listed = {"top": _tops_json(tops, origin)} if top else {}
    lines = _exact_lines(space.name, target, result) + _tops_lines(tops)
    return {**exact_json(result), **listed}, "\n".join(lines)


def _tops_json(tops: Tops, origin: str) -> list[dict[str, Any]]:
    return [
        {
            "limit_ms": limit,
            "models": [
                {
                    "name": b.subnet.name,
                    "hash": subnet_identity(b.subnet),
                    "resolution": b.subnet.resolution,
                    "latency_ms": b.latency_ms,
                    "loss": b.loss,
                    "accuracy": b.accuracy,
                    "flops": subnet_cost(b.subnet).flops,
                    "params": subnet_cost(b.subnet).params,
                    "page": page_in(Path(), b.subnet, origin),
                }
                for b in best
            ],
        }
        for limit, best in tops
    ]


def _tops_lines(tops: Tops) -> list[str]:
    """A line per subnet, then all of them as one page."""
    lines = ["best subnets, of all there are:"] if tops else []
    for limit, best in tops:
        if not best:
            lines.append(f"  {limit:6g} ms  none is that fast")
        lines += [
            f"  {limit:6g} ms  {b.subnet.name}: 1/loss {b.accuracy:.6f}, {b.latency_ms:.3f} ms, "
            f"{b.subnet.resolution} px, {subnet_cost(b.subnet).flops / 1e6:,.1f}M FLOPs"
            for b in best
        ]
    models = [b.subnet for _, best in tops for b in best]
    return [*lines, write(*models).rstrip()] if models else lines


def _exact_lines(name: str, target: str, result: ExactScore) -> list[str]:
    how = "every subnet enumerated" if result.method == "enumerated" else f"{result.error:.1e}"
    lines = [f"{name} on {target}: exact Q-T score {result.score:.6f} (error {how})"]
    for limit in result.limits:
        few = limit.missing >= 0.0005 * result.best
        missing = f"  ({limit.missing:.2f} of the best {result.best} missing)" if few else ""
        lines.append(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    return lines
