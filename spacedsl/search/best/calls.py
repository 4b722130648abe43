"""Says of each stage of a found space how sure its block type is: clearly the best, the best unless
losses of another table mislead, or too close to call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.ir.space import Space, Stage
from spacedsl.search.best.networks import BestScore
from spacedsl.search.candidate import Genome
from spacedsl.search.combined import CombinedScore, CombinedScorer
from spacedsl.search.compare import StageSensitivity
from spacedsl.search.scorer import Scorer

CLOSE = 0.01
"""Of a score in 1/loss: what tables of losses cannot tell apart (0.3 to 0.45 points of top-1 are
left unexplained, which is 1 to 2 % of a loss)."""


@dataclass(frozen=True, slots=True)
class Call:
    """An elastic stage: its block type, the best other one (None: there is none) in any window with
    the other stages as found, and the scores with either. `clear`: they differ by more than the
    uncertainty of what networks are worth, and its type would stay the best if transferred losses
    were off by two standard uncertainties. `unless`: only the second does not hold, because of the
    losses of this block type."""

    stage: str
    block: str
    rival: str | None
    score: float
    rival_score: float
    clear: bool
    unless: str | None = None

    @property
    def share(self) -> float:
        """By what share of the score the rival is worse, to a hundredth of a percent."""
        share = (self.score - self.rival_score) / abs(self.score) if self.score else 0.0
        return round(share, 4) + 0.0  # no -0.0

    @property
    def said(self) -> str:
        """The same in words."""
        next_best = f"{self.rival}, the next best ({self.share:.2%})"
        if self.clear:
            return f"{self.stage}: {self.block} is clearly better than {next_best}"
        if self.unless is not None:
            own = "its transferred losses are too low"
            other = f"the transferred losses of {self.unless} are too high"
            wrong = own if self.unless == self.block else other
            return f"{self.stage}: {self.block} is better than {next_best}, unless {wrong}"
        if self.share < 0:
            more = f"{self.rival} scores {-self.share:.2%} more than {self.block}"
            return f"{self.stage}: {more}, which a longer search may find"
        apart = f"too close to call ({self.share:.2%} apart)"
        return f"{self.stage}: {self.block} or {self.rival}: {apart}"


def calls(
    scorer: Scorer | CombinedScorer, space: Space, transferred: Sequence[StageSensitivity] = ()
) -> tuple[Call, ...]:
    """One per elastic stage of a space of the scorer's hyperspace. `transferred`: what is known of
    each stage where losses are transferred. Raises `SpaceError`."""
    genome = Genome(scorer.hyper)
    turning = {
        t.stage: t.block if t.transferred else t.rival for t in transferred if not t.survives
    }
    genotype, score = genome.from_space(space), scorer.score(space).score
    doubt = _doubt(scorer, space, score)
    found = []
    for place, (own, window) in enumerate(genotype):
        alternatives = genome.alternatives[place]
        others = [
            (*genotype[:place], (block, w), *genotype[place + 1 :])
            for block, windows in enumerate(alternatives)
            for w in range(len(windows))
            if block != own
        ]
        others = [other for other in others if genome.keeps(other)]
        totals = [scorer.total(limits) for limits in scorer.limits(genome, others)]
        rival, best = None, 0.0
        if totals:
            best = max(totals)
            rival = _block(alternatives[others[totals.index(best)][place][0]][0])
        stage = alternatives[own][window]
        more = score - best > doubt
        unless = turning.get(stage.name) if more else None
        clear = more and unless is None
        found.append(Call(stage.name, _block(stage), rival, score, best, clear, unless))
    return tuple(found)


def _doubt(scorer: Scorer | CombinedScorer, space: Space, score: float) -> float:
    """How much of a score is uncertain: one standard deviation of every network's worth, which err
    alike; where that is not known, `CLOSE`."""
    result = scorer.score(space)
    parts = [p for _, p in result.parts] if isinstance(result, CombinedScore) else [result]
    found = 0.0
    for part in parts:
        if not isinstance(part, BestScore):
            raise TypeError("a score by the best networks")
        weights = zip(part.settings.weights, part.networks, strict=True)
        sds = [(weight, n.sd) for weight, networks in weights for n in networks[:1]]
        if any(sd is None for _, sd in sds):
            return CLOSE * abs(score)
        found += sum(weight * sd for weight, sd in sds if sd is not None)
    return found


def _block(stage: Stage) -> str:
    return stage.choices[0].block.name or "body"
