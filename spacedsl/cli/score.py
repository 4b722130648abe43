"""spacedsl score: what a space is worth under latency limits."""

from __future__ import annotations

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
from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.search.combine import Combine

if TYPE_CHECKING:
    from spacedsl.ir.space import Space
    from spacedsl.search.scorer import Scorer


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
    from spacedsl.cli.best import best_facts
    from spacedsl.cli.exact import exact_facts
    from spacedsl.cli.several import ready_targets
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.search.combined import combined
    from spacedsl.targets.scorers import Request, open_scorers

    require_definition(definition, scorer, samples, exact=exact)
    if top and definition is not Definition.best and not exact:
        help = "leave --definition out, or say --definition qt --exact"
        raise fault("bad-option", "a sampled score knows no best networks to list", help)
    found = api.load_space(space)
    if found.kind == "hyperspace" and any(len(s.choices) > 1 for s in found.stages):
        help = "`spacedsl evolve` searches a hyperspace"
        raise fault("wrong-kind", f"{space} is a hyperspace; a score is of one space", help)
    ready = ready_targets(targets, found, limits, quiet=format is Format.json)
    shown: list[Shown] = []
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
    for name, opened in open_scorers(found, ready, request).items():
        if definition is Definition.best:
            shown.append(best_facts(found, BestScorer(opened), name, top, space))
        elif exact:
            shown.append(exact_facts(found, opened, name, top, space))
        else:
            shown.append(_sampled(found, opened, name))
    scores = [facts["score"] for facts, _ in shown]
    if format is Format.text:
        print("\n".join(text for _, text in shown))
        if len(shown) > 1:
            print(f"{combine.value} of {len(shown)} targets: {combined(scores, combine):.6f}")
        return
    identity = {"space": found.name, "hash": space_identity(found)}
    if len(shown) == 1:
        emit({**identity, "target": ready[0].name, **shown[0][0]})
        return
    listed = [{"target": t.name, **f} for t, (f, _) in zip(ready, shown, strict=True)]
    whole = {"combine": combine.value, "score": combined(scores, combine), "targets": listed}
    emit({**identity, **whole})


Shown = tuple[dict[str, Any], str]
"""A score as plain data and as text."""


def _sampled(space: Space, scorer: Scorer, target: str) -> Shown:
    from spacedsl.search.score import score_json

    result = scorer.score(space)
    lines = [f"{space.name} on {target}: Q-T score {result.score:.6f}"]
    for limit in result.limits:
        missing = f"  ({limit.missing} of the best {result.best} missing)" if limit.missing else ""
        lines.append(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    for resolution, parts in sorted(result.fixed_latency_ms.items()):
        listed = ", ".join(f"{name} {ms:.3f}" for name, ms in parts.items() if name != "total")
        lines.append(f"  fixed at {resolution} px: {parts['total']:.3f} ms ({listed})")
    shares = ", ".join(f"{share:.1%} {name}" for name, share in result.coverage if share)
    return score_json(result), "\n".join([*lines, f"  block latencies: {shares}"])
