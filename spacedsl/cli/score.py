"""spacedsl score: what a space is worth under latency limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.limits import parse_limits, parse_weights
from spacedsl.cli.options import (
    BEST,
    COMBINE,
    DEFINITION,
    EXACT,
    LIMITS,
    QUALITY,
    SAMPLES,
    SCORER,
    TARGETS,
    WEIGHTS,
    Definition,
    require_definition,
)
from spacedsl.cli.watch import Terminal
from spacedsl.cli.words import wrapped
from spacedsl.ir.identity import space_identity
from spacedsl.search.combine import Combine

if TYPE_CHECKING:
    from spacedsl.flows.score import TargetScore
    from spacedsl.ir.space import Space
    from spacedsl.search.space_score import SpaceScore


def score(
    space: str = typer.Argument(..., help="A space: a page, PAGE#ITEM, or a library name."),
    targets: list[str] = TARGETS,
    combine: Combine = COMBINE,
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    definition: Definition = DEFINITION,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    weights: str | None = WEIGHTS,
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the subnets that are sampled."),
    exact: bool = EXACT,
    top: int = typer.Option(
        0, "--top", min=0, max=100, help="List so many of the best networks under each limit."
    ),
    format: Format = FORMAT,
) -> None:
    """How good a space's best INT8 networks are under latency limits."""
    from spacedsl.cli.device import ready_devices
    from spacedsl.flows.score import require_scorable
    from spacedsl.flows.score import score as flow
    from spacedsl.targets.open_scorer import Request

    require_definition(definition, scorer, samples, exact=exact)
    found = api.load_space(space)
    require_scorable(found, definition.value, exact=exact, top=top, called=space)
    request = Request(
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        definition=definition.value,
        samples=samples,
        best=best,
        seed=seed,
        weights=parse_weights(weights),
    )
    scored = flow(
        found,
        ready_devices(targets, found, request),
        request,
        combine=combine,
        exact=exact,
        top=top,
        watch=Terminal(),
    )
    if format is Format.text:
        print("\n".join(_text(found, part) for part in scored.parts))
        if len(scored.parts) > 1:
            print(f"{combine.value} of {len(scored.parts)} targets: {scored.score:.6f}")
        return
    identity = {"space": found.name, "hash": space_identity(found)}
    each = [{"target": part.target.name, **_json(part, space)} for part in scored.parts]
    if len(each) == 1:
        emit({**identity, **each[0]})
        return
    emit({**identity, "combine": combine.value, "score": scored.score, "targets": each})


def _text(space: Space, part: TargetScore) -> str:
    from spacedsl.cli.best import best_lines, tops_lines
    from spacedsl.cli.exact import exact_lines
    from spacedsl.search.best.networks import BestScore
    from spacedsl.search.exact.expectation import ExactScore

    result, name = part.result, part.target.name
    if isinstance(result, BestScore):
        lines = best_lines(space.name, name, result)
    elif isinstance(result, ExactScore):
        lines = exact_lines(space.name, name, result)
    else:
        lines = _sampled_lines(space.name, name, result)
    lines += tops_lines(part.limits_ms, part.top, part.unit)
    return "\n".join(line if "\n" in line else wrapped(line, " " * 13) for line in lines)


def _json(part: TargetScore, origin: str) -> dict[str, Any]:
    """Plain data; `origin`: how the space was named."""
    from spacedsl.cli.best import best_json, tops_json
    from spacedsl.search.best.networks import BestScore
    from spacedsl.search.exact.expectation import ExactScore, exact_json
    from spacedsl.search.space_score import score_json

    result = part.result
    listed = {"top": tops_json(part.limits_ms, part.top, origin)} if part.top else {}
    if isinstance(result, BestScore):
        return {**best_json(result, Path(), origin), **listed}
    data = exact_json(result) if isinstance(result, ExactScore) else score_json(result)
    return {**data, **listed}


def _sampled_lines(space: str, target: str, result: SpaceScore) -> list[str]:
    lines = [f"{space} on {target}: Q-T score {result.score:.6f}"]
    for limit in result.limits:
        missing = f"  ({limit.missing} of the best {result.best} missing)" if limit.missing else ""
        lines.append(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    for resolution, parts in sorted(result.fixed_latency_ms.items()):
        listed = ", ".join(f"{name} {ms:.3f}" for name, ms in parts.items() if name != "total")
        lines.append(f"  fixed at {resolution} px: {parts['total']:.3f} ms ({listed})")
    shares = ", ".join(f"{share:.1%} {name}" for name, share in result.coverage if share)
    return [*lines, f"  block latencies: {shares}"]
