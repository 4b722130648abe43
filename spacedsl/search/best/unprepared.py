"""What is known of the best spaces where time was up before anything could be bounded well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.ir.identity import digest
from spacedsl.search.best.engine import Engine
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer, combined
from spacedsl.search.exact.found import Optimum, Ranked
from spacedsl.search.scorer import Scorer
from spacedsl.search.stream import Stream


def unprepared(
    scorer: Scorer | CombinedScorer, targets: Sequence[BestScorer], name: str, precision: float
) -> Optimum:
    """One space of the hyperspace, scored, and a bound that no latency comes into."""
    genome = targets[0].engine.line.genome
    genotype = genome.drawn(Stream(0), ())
    space = genome.to_space(genotype, name)
    result = scorer.score(space)
    combine = scorer.combine if isinstance(scorer, CombinedScorer) else Combine.sum
    most = combined([_most(target.engine, target) for target in targets], combine)
    return Optimum(
        best=(Ranked(space, result, result.score),),
        rivals=(),
        bound=max(result.score, most),
        precision=precision,
        deviation=0.0,
        enumerated=1,
        pruned={},
        open=genome.size - 1,
        size=genome.size,
        rescored=1,
        complete=False,
        evolution=None,
        cycles=0,
        tables=digest(scorer.identity),
    )


def _most(engine: Engine, target: BestScorer) -> float:
    """No space scores more: what one would whose network of the least loss keeps every limit."""
    line = engine.line
    least = np.zeros(len(line.resolutions))
    for stage in range(line.stages):
        each = [line.least_loss(stage, gene) for gene in line.genes(stage)]
        least += np.min(each, axis=0)
    best = float(engine.value(least, np.arange(len(least))).max())
    return best * float(sum(target.settings.weights))
