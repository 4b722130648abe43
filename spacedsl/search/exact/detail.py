"""The detail of searches beside full detail, and how far the former is to be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome
from spacedsl.search.combined import CombinedScore, CombinedScorer
from spacedsl.search.exact.expectation import ExactScore
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.journal import Evaluated
from spacedsl.search.scorer import Scorer

Full = Callable[[Space], ExactScore | CombinedScore]
"""Scores a space at full detail."""

CHECKED = 4
"""Spaces of an evolution, as many of the best as of all, that are scored at full detail too."""

SAFETY = 4.0
"""What the largest deviation found there is multiplied with to give a precision."""

TRUSTED = 0.02
"""A precision above it says that scores of searches are not to be relied on."""


@dataclass(frozen=True, slots=True)
class Trust:
    """`deviation`: the largest difference between the detail of searches and full detail, as a
    share of the best score. `few`: a space had so few subnets that they were enumerated; where
    few subnets keep a limit, single scores of a search are far off."""

    deviation: float
    few: bool

    @property
    def enough(self) -> bool:
        """Whether a search by these scores can be relied on."""
        return not self.few and SAFETY * self.deviation <= TRUSTED


def trust(full: Full, genome: Genome, history: Sequence[Evaluated]) -> Trust:
    """By some spaces that an evolution scored, best first, and their scores by `full`."""
    spread = -(-len(history) // CHECKED)
    checked = (*history[:CHECKED], *history[CHECKED::spread])
    found = [full(genome.to_space(record.genotype, "any")) for record in checked]
    apart = [
        abs(record.score - result.score) for record, result in zip(checked, found, strict=True)
    ]
    deviation = max(apart) / history[0].score if history[0].score else 0.0
    return Trust(deviation, any(map(_enumerated, found)))


def _enumerated(result: ExactScore | CombinedScore) -> bool:
    parts = [result] if isinstance(result, ExactScore) else [part for _, part in result.parts]
    return any(isinstance(part, ExactScore) and part.method == "enumerated" for part in parts)


def exact_parts(scorer: Scorer | CombinedScorer) -> dict[str, ExactScorer]:
    """Those of the targets."""
    parts = scorer.parts if isinstance(scorer, CombinedScorer) else {"": scorer}
    exact = {n: p for n, p in parts.items() if isinstance(p, ExactScorer) and p.searching}
    if len(exact) < len(parts):
        raise ValueError("an optimum needs scorers that search")
    return exact


def at_full_detail(scorer: Scorer | CombinedScorer) -> Full:
    """What scores spaces as `score --exact` does; it keeps the stages that it has seen."""
    parts = {name: ExactScorer(part.inner) for name, part in exact_parts(scorer).items()}
    if isinstance(scorer, CombinedScorer):
        return CombinedScorer(parts, scorer.combine).score
    return parts[""].score
