"""Does the found space stay the best where the quality table is fitted to resampled data?

The search is repeated by every refit of the table. Where it finds a space that is worth more than
the found one by the same refit, the found one did not stay the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.search.best.networks import BestScore
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.combined import CombinedScore, CombinedScorer
from spacedsl.search.protocols import Floats, QualityModel
from spacedsl.search.scorer import Scorer
from spacedsl.search.space_score import SpaceScore

PRECISION = 1e-9
"""Of a score: what is not better by more counts as not better."""


@dataclass(frozen=True, slots=True)
class Refit:
    """By one refit: the found space's score, and the best space's that the search finds, which is
    at least that. `optimism`: by how many points the best space's networks, which the refit chose,
    are worth less by the table itself, on average; None where none keeps a limit."""

    score: float
    best: float
    hash: str
    optimism: float | None

    @property
    def kept(self) -> bool:
        """Whether the found space stayed the best."""
        return self.best - self.score <= PRECISION * abs(self.score)


AnyScorer = Scorer | CombinedScorer


def refits(
    scorer: AnyScorer,
    space: Space,
    models: Sequence[QualityModel],
    search: Callable[[AnyScorer], Space],
    worth: Callable[[Sequence[Subnet], QualityModel], Floats],
) -> tuple[Refit, ...]:
    """One per refit of the scorer's quality table. `search` is what found `space`; `worth`: what
    networks are worth by a table."""
    parts = list(scorer.parts.values()) if isinstance(scorer, CombinedScorer) else [scorer]
    own = _by_best(parts[0]).inner.quality
    return tuple(
        _refit(refitted(scorer, model), space, search, lambda nets: worth(nets, own))
        for model in models
    )


def _refit(
    scorer: AnyScorer,
    space: Space,
    search: Callable[[AnyScorer], Space],
    worth: Callable[[Sequence[Subnet]], Floats],
) -> Refit:
    score, other = scorer.score(space).score, search(scorer)
    again = scorer.score(other)
    if again.score < score:  # a search that is no proof may end below the space at hand
        other, again = space, scorer.score(space)
    return Refit(score, again.score, space_identity(other), _optimism(again, worth))


def _optimism(
    result: SpaceScore | CombinedScore, worth: Callable[[Sequence[Subnet]], Floats]
) -> float | None:
    parts = [p for _, p in result.parts] if isinstance(result, CombinedScore) else [result]
    scores = [part for part in parts if isinstance(part, BestScore)]
    chosen = [found[0] for score in scores for found in score.networks if found]
    if not chosen:
        return None
    predicted = np.array([network.value for network in chosen])
    return float((predicted - worth([network.subnet for network in chosen])).mean())


def refitted(scorer: AnyScorer, model: QualityModel) -> AnyScorer:
    """The same scorer by a refit of its quality table."""
    if isinstance(scorer, CombinedScorer):
        parts = {name: _by_best(part).refitted(model) for name, part in scorer.parts.items()}
        return CombinedScorer(parts, scorer.combine)
    return _by_best(scorer).refitted(model)


def _by_best(scorer: Scorer) -> BestScorer:
    if not isinstance(scorer, BestScorer):
        raise TypeError("a score by the best networks")
    return scorer
