"""The Q-T score of n subnets from their latencies and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.operators.size import Size
from spacedsl.search.fixed import Chain
from spacedsl.search.protocols import Coverage, Floats

Definition = Literal["best", "qt", "authors"]
"""`best`: of all subnets, nothing drawn (see `best`). `qt`: the paper's stand-in for it (section
5a). `authors`: what the method's public code computes, for comparison."""

SAMPLES = {"best": 0, "qt": 5_000, "authors": 100_000}
BEST = {"best": 1, "qt": 20, "authors": 50}

SHARE = 0.08
"""The authors' t, of their 0.08 to 0.1: below this share of subnets under a limit they penalise."""

EXPONENT = 0.01
"""The authors' a."""


@dataclass(frozen=True, slots=True)
class LimitScore:
    """Score under one latency limit; `missing`: how many of the best there were not (of an exact
    score: the expected number)."""

    limit_ms: float
    score: float
    missing: float


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How to score: latency limits in ms, `samples` random subnets (per limit in `authors`), of
    which the `best` count, and the seed they are drawn with; in `best` none is drawn. `weights`:
    what the score under each limit is multiplied with."""

    limits_ms: tuple[float, ...]
    samples: int
    best: int
    seed: int
    definition: Definition
    weights: tuple[float, ...]

    def total(self, limits: Sequence[LimitScore]) -> float:
        """A space's score from those under each limit."""
        pairs = zip(self.weights, limits, strict=True)
        return math.fsum(weight * limit.score for weight, limit in pairs)


def score_settings(
    limits_ms: Sequence[float],
    samples: int | None,
    best: int | None,
    seed: int,
    definition: Definition,
    weights: Sequence[float] = (),
) -> ScoreSettings:
    """Checked settings; None stands for the definition's own number, no weights for 1 each."""
    limits = tuple(float(limit) for limit in limits_ms)
    if not limits:
        raise fault("bad-limits", "no latency limit is given", "for example --limits 8,10,15ms")
    for limit in limits:
        if not (math.isfinite(limit) and limit > 0):
            raise fault("bad-limits", f"{limit:g} ms is not a latency limit")
    if len(set(limits)) < len(limits):
        raise fault("bad-limits", "a latency limit is given twice")
    if definition not in SAMPLES:
        raise fault(
            "bad-definition", f"there is no definition `{definition}`", "best, qt or authors"
        )
    if definition == "best" and samples is not None:
        message = "the definition best draws no samples: it is of all subnets"
        raise fault("bad-option", message, "leave --samples out, or say --definition qt")
    if weights and definition != "best":
        message = f"weights are of the definition best, not of {definition}"
        raise fault("bad-option", message, "leave --weights out, or say --definition best")
    if weights and len(weights) != len(limits):
        message = f"{len(weights)} weights for {len(limits)} latency limits"
        raise fault("bad-option", message, "give one weight per limit")
    for weight in weights:
        if not (math.isfinite(weight) and weight > 0):
            raise fault("bad-option", f"{weight:g} is no weight", "weights are greater than 0")
    chosen = ScoreSettings(
        limits,
        SAMPLES[definition] if samples is None else samples,
        BEST[definition] if best is None else best,
        seed,
        definition,
        tuple(map(float, weights)) or (1.0,) * len(limits),
    )
    for name, value in (("samples", samples), ("best", best)):
        if value is not None and not 1 <= value <= 10_000_000:
            raise fault("bad-option", f"{name} {value} is not in 1..10,000,000")
    if seed < 0:
        raise fault("bad-option", f"seed {seed} is negative")
    return chosen


@dataclass(frozen=True)
class SpaceScore:
    """The Q-T score of a space. `coverage`: shares of the elastic stages' block latencies by where
    they come from, over all subnets drawn. `chain`: fixed parts, per resolution."""

    score: float
    limits: tuple[LimitScore, ...]
    chain: Chain
    coverage: tuple[tuple[str, float], ...]
    settings: ScoreSettings
    scorer: str

    @property
    def fixed_latency_ms(self) -> dict[Size, dict[str, float]]:
        """Per resolution in pixels: latency of each fixed part, and `total`, in ms."""
        table: dict[Size, dict[str, float]] = {}
        for i, resolution in enumerate(self.chain.resolutions):
            parts = {part.name: part.ms[i] for part in self.chain.fixed}
            table[resolution] = {**parts, "total": self.chain.total_ms[i]}
        return table

    @property
    def best(self) -> int:
        """How many subnets count under each limit."""
        return self.settings.best


def score_json(result: SpaceScore) -> dict[str, Any]:
    """Plain data; no time, no path. Latencies in ms, resolutions in pixels."""
    chosen = result.settings
    return {
        "score": result.score,
        "limits": [asdict(limit) for limit in result.limits],
        "fixed_latency_ms": {str(r): parts for r, parts in result.fixed_latency_ms.items()},
        "fixed_coverage": {p.name: p.coverage.name.lower() for p in result.chain.fixed},
        "coverage": dict(result.coverage),
        "scorer": result.scorer,
        "definition": chosen.definition,
        "samples": chosen.samples,
        "best": chosen.best,
        "seed": chosen.seed,
    }


def limit_score(latency_ms: Floats, accuracy: Floats, limit_ms: float, best: int) -> LimitScore:
    """Q(A, T): mean of the `best` largest accuracies (n,) among the subnets whose latency (n,) is
    at most `limit_ms`; a missing one counts 0."""
    under = accuracy[latency_ms <= limit_ms]
    if len(under) > best:
        under = np.partition(under, len(under) - best)[len(under) - best :]
    total = math.fsum(under.tolist())
    return LimitScore(limit_ms, total / best, best - len(under))


def authors_score(latency_ms: Floats, loss: Floats, limit_ms: float, best: int) -> LimitScore:
    """The authors' score under one limit: 1 / (penalty * mean loss) over the `best` least losses
    (n,) of the subnets whose latency (n,) is at most `limit_ms`, over what there is where they are
    fewer, and 0 where there is none. With p the share of subnets under the limit, penalty is
    max(1, (t / p)^a)."""
    under = loss[latency_ms <= limit_ms]
    if len(under) == 0:
        return LimitScore(limit_ms, 0.0, best)
    share = len(under) / len(loss)
    if len(under) > best:
        under = np.partition(under, best - 1)[:best]
    mean = math.fsum(under.tolist()) / len(under)
    penalty = max(1.0, (SHARE / share) ** EXPONENT)
    return LimitScore(limit_ms, 1.0 / (penalty * mean), best - len(under))


def coverage_shares(counts: Sequence[int]) -> tuple[tuple[str, float], ...]:
    """Shares by the name of their `Coverage`."""
    total = sum(counts)
    return tuple((Coverage(i).name.lower(), count / total) for i, count in enumerate(counts))
