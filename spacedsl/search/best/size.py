"""What an optimum by the best networks needs before its search, estimated from the size of a
hyperspace. Nobody knows beforehand how long the search itself takes."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.search.best.completions import steps_for
from spacedsl.search.best.line import FRONT_BYTES
from spacedsl.search.best.prefixes import PREFIX_BYTES
from spacedsl.search.qt_scorers import ModelScorer

JOINED = 35e-6
"""Seconds in which a core joins the fronts of two neighbouring blocks."""

FRONT = 1_000
"""Bytes of the front of a stage, by width in and out."""

LAYERS = 0.8
"""For K networks a front is greater by K to this power."""

STEP = 0.03e-6
"""Seconds in which a core takes a front into a step of what can follow."""


@dataclass(frozen=True, slots=True)
class Needs:
    """`seconds`: processor time until all stages are prepared. `memory`: bytes of these, and of
    what a search keeps besides. Bounds go by the best network, so only spaces that are scored need
    the fronts of several."""

    seconds: float
    memory: int

    def __add__(self, other: Needs) -> Needs:
        return Needs(self.seconds + other.seconds, self.memory + other.memory)

    def __str__(self) -> str:
        return f"about {self.seconds:,.0f} s of a core and {self.memory / 1e9:,.1f} GB"


def needs(scorer: ModelScorer) -> Needs:
    """What the hyperspace of a scorer comes to. Raises `SpaceError` where it is too large."""
    hyper = scorer.hyper
    stages = [hyper.stages[position] for position in hyper.elastic]
    sizes = sum(size in scorer.resolutions for size in hyper.resolutions)
    best = scorer.settings.best
    layers = best**LAYERS if best > 1 else 0.0
    genes = [len(stage.choices) * len(stage.windows) for stage in stages]
    widths = [len(stage.windows[0]) for stage in stages]
    before = [1, *(len(stage.widths) for stage in stages[:-1])]
    joined = sum(
        g * w * ((depth - 1) * w + c)
        for g, w, c, stage in zip(genes, widths, before, stages, strict=True)
        for depth in stage.depths
    )
    rows = sizes * sum(g * c for g, c in zip(genes, before, strict=True))
    fronts = sizes * sum(g * c * w for g, c, w in zip(genes, before, widths, strict=True))
    steps = steps_for(rows, hyper.name)
    seconds = sizes * joined * JOINED + fronts * steps * STEP
    kept = [min(int(fronts * FRONT * some), FRONT_BYTES) for some in (1.0, layers)]
    return Needs(seconds, sum(kept) + PREFIX_BYTES + 4 * rows * steps)
