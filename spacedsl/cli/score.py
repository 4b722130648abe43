"""spacedsl score: the Q-T score of a space."""

from __future__ import annotations

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.limits import parse_limits
from spacedsl.cli.options import (
    BEST,
    DEFINITION,
    EXACT,
    LIMITS,
    QUALITY,
    SAMPLES,
    SCORER,
    TARGET,
    Definition,
)
from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity


def score(
    space: str = typer.Argument(..., help="A space: a page, PAGE#ITEM, or a library name."),
    target: str = TARGET,
    limits: str | None = LIMITS,
    quality: str | None = QUALITY,
    scorer: str = SCORER,
    definition: Definition = DEFINITION,
    samples: int | None = SAMPLES,
    best: int | None = BEST,
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the subnets that are sampled."),
    exact: bool = EXACT,
    format: Format = FORMAT,
) -> None:
    """Q-T score: how good a space's best INT8 subnets are under latency limits."""
    from spacedsl.cli.device import ready_target
    from spacedsl.cli.exact import show_exact
    from spacedsl.search.score import score_json
    from spacedsl.targets.scorers import Request, open_scorer

    found = api.load_space(space)
    if found.kind == "hyperspace" and any(len(s.choices) > 1 for s in found.stages):
        help = "`spacedsl evolve` searches a hyperspace"
        raise fault("wrong-kind", f"{space} is a hyperspace; a score is of one space", help)
    request = Request(
        target=ready_target(target, found, quiet=format is Format.json),
        limits_ms=parse_limits(limits),
        quality=quality,
        scorer=scorer,
        definition=definition.value,
        samples=samples,
        best=best,
        seed=seed,
    )
    if exact:
        show_exact(found, open_scorer(found, request), request.target.name, format)
        return
    result = open_scorer(found, request).score(found)
    if format is Format.json:
        identity = {"space": found.name, "hash": space_identity(found)}
        emit({**identity, "target": request.target.name, **score_json(result)})
        return
    print(f"{found.name} on {request.target.name}: Q-T score {result.score:.6f}")
    for limit in result.limits:
        missing = f"  ({limit.missing} of the best {result.best} missing)" if limit.missing else ""
        print(f"  {limit.limit_ms:6g} ms  {limit.score:.6f}{missing}")
    for resolution, parts in sorted(result.fixed_latency_ms.items()):
        listed = ", ".join(f"{name} {ms:.3f}" for name, ms in parts.items() if name != "total")
        print(f"  fixed at {resolution} px: {parts['total']:.3f} ms ({listed})")
    shares = ", ".join(f"{share:.1%} {name}" for name, share in result.coverage if share)
    print(f"  block latencies: {shares}")
