"""What a found space is worth: against other spaces, on fresh random subnets, and where the loss of
a block type is only known from another table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.search.candidate import Gene, Genome, Genotype
from spacedsl.search.combined import CombinedScore, CombinedScorer
from spacedsl.search.protocols import QualityModel
from spacedsl.search.scorer import Scorer
from spacedsl.search.space_score import SpaceScore
from spacedsl.search.stream import Stream

FRESH = 1_000_003
"""Added to the score's seed for subnets that no search chose a space by."""

UNCERTAINTIES = 2.0
"""Standard uncertainties by which a transferred loss is moved."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A space under the scorer searched with, and its score on fresh subnets."""

    name: str
    hash: str
    result: SpaceScore | CombinedScore
    fresh_score: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The closing table: the found space, the published one where there is one, random ones."""

    found: Compared
    reference: Compared | None
    random: tuple[Compared, ...]

    @property
    def random_mean(self) -> float:
        """Mean score of the random spaces; NaN where there are none."""
        scores = [r.result.score for r in self.random]
        return math.fsum(scores) / len(scores) if scores else math.nan

    @property
    def random_best(self) -> Compared | None:
        """The random space of the greatest score."""
        return max(self.random, key=lambda r: r.result.score, default=None)


def compare(
    scorer: Scorer | CombinedScorer,
    found: Space,
    reference: Space | None = None,
    random: int = 20,
    seed: int = 0,
) -> Comparison:
    """Score `found`, `reference` and `random` different random spaces of the scorer's hyperspace.

    All are also scored on fresh subnets: the search chose `found` for its luck with the first ones
    too, so its fresh score is the fairer one. A reference need not be one of the hyperspace's."""
    fresh = scorer.reseeded(scorer.settings.seed + FRESH)

    drawn_none = scorer.settings.definition == "best"

    def compared(space: Space) -> Compared:
        score = scorer.score(space)
        again = score.score if drawn_none else fresh.score(space).score
        return Compared(space.name, space_identity(space), score, again)

    genome = Genome(scorer.hyper)
    return Comparison(
        found=compared(found),
        reference=compared(reference) if reference else None,
        random=tuple(
            compared(genome.to_space(g, f"random-{i}"))
            for i, g in enumerate(random_genotypes(genome, random, Stream(seed)))
        ),
    )


def random_genotypes(genome: Genome, count: int, stream: Stream) -> tuple[Genotype, ...]:
    """`count` different genotypes, or all where there are fewer."""
    if count < 0:
        raise fault("bad-option", f"{count} random spaces")
    if genome.within is None:
        indices = stream.sample(genome.size, min(count, genome.size))
        return tuple(genome.at(index) for index in indices)
    drawn: dict[Genotype, None] = {}
    while len(drawn) < min(count, genome.kept):
        drawn[genome.drawn(stream, drawn)] = None
    return tuple(drawn)


@dataclass(frozen=True, slots=True)
class StageSensitivity:
    """Whether an elastic stage's block type would still be chosen if a transferred loss were off
    by two standard uncertainties; the other stages are as found.

    Where the found type is transferred, its own loss is raised and the rivals are all others; where
    it is not, the rivals are the transferred types, their losses lowered. `rival` is the best of
    them in any window (None: there is no rival, nothing to ask). `score` and `rival_score` are
    with the change. `uncertainty` is of the loss that was changed."""

    stage: str
    block: str
    transferred: bool
    uncertainty: float
    score: float
    rival: str | None
    rival_score: float

    @property
    def survives(self) -> bool:
        """Whether the found block type is at least as good as every rival."""
        return self.rival is None or self.score >= self.rival_score


def sensitivity(
    scorer: Scorer | CombinedScorer, quality: QualityModel, found: Space
) -> tuple[StageSensitivity, ...]:
    """Per elastic stage, whether the found block type stays the best where transferred losses
    are off. Raises `SpaceError` where `found` is not exactly a space of the scorer's hyperspace."""
    genome = Genome(scorer.hyper)
    genotype = genome.from_space(found)
    return tuple(
        _stage_sensitivity(scorer, quality, genome, genotype, place)
        for place in range(len(genotype))
    )


def _stage_sensitivity(
    scorer: Scorer | CombinedScorer,
    quality: QualityModel,
    genome: Genome,
    genotype: Genotype,
    place: int,
) -> StageSensitivity:
    choices = genome.alternatives[place]
    own, window = genotype[place]
    doubts = [_uncertainty(quality, place + 1, windows[0].choices[0]) for windows in choices]
    transferred = doubts[own] > 0

    def score(gene: Gene, shift: float) -> float:
        changed = (*genotype[:place], gene, *genotype[place + 1 :])
        space = genome.to_space(changed, "alternative")
        return scorer.score(space, {place + 1: UNCERTAINTIES * shift}).score

    rivals = [
        (score((block, w), 0.0 if transferred else -doubts[block]), (block, w))
        for block in range(len(choices))
        if block != own and (transferred or doubts[block] > 0)
        for w in range(len(choices[block]))
    ]
    rival_score, rival = max(rivals, key=lambda r: r[0]) if rivals else (0.0, None)
    doubt = doubts[own] if transferred or rival is None else doubts[rival[0]]
    return StageSensitivity(
        stage=choices[own][window].name,
        block=_block_name(choices[own][0]),
        transferred=transferred,
        uncertainty=doubt,
        score=score((own, window), doubts[own]),
        rival=None if rival is None else _block_name(choices[rival[0]][0]),
        rival_score=rival_score,
    )


def _uncertainty(quality: QualityModel, number: int, choice: BlockChoice) -> float:
    loss = quality.stage(number, choice)
    return 0.0 if loss is None else loss.offset_uncertainty


def _block_name(stage: Stage) -> str:
    return stage.choices[0].block.name or "body"
