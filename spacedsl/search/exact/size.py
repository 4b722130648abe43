"""What an exact Q-T search of a hyperspace needs, estimated from its size before any work."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.search.exact.grid import SEARCH

MOST_BYTES = 8_000_000_000
"""What a search may take."""

STEPS_A_SECOND = 60_000
"""Products of a block's transforms that one core makes in a second, at the detail of searches."""

LISTED = 300
"""Bytes that a head takes in a list."""

COMPLEX = 8
"""Bytes of a complex number in single precision."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one target. `seconds`: processor time for the transforms of all stages. `prepared`: bytes
    of these. `paired`: bytes of the heads and tails that `optimum` bounds at a time."""

    seconds: float
    prepared: int
    paired: int

    def __str__(self) -> str:
        return f"about {self.seconds:,.0f} s of a core and {self.prepared / 1e9:,.1f} GB"


def needs(hyper: Space) -> Needs:
    """What a hyperspace's stages and halves come to."""
    stages = [hyper.stages[position] for position in hyper.elastic]
    frequencies = (SEARCH.latency + 1) * (2 * SEARCH.loss + 1)
    cell = len(hyper.resolutions) * frequencies * COMPLEX
    genes = [len(stage.choices) * len(stage.windows) for stage in stages]
    outs = [len(stage.windows[0]) for stage in stages]
    before = [1, *(len(stage.widths) for stage in stages[:-1])]
    cells = [g * c * w for g, c, w in zip(genes, before, outs, strict=True)]
    steps = [
        g * c * w * sum(1 + (depth - 1) * w for depth in stage.depths)
        for g, c, w, stage in zip(genes, before, outs, stages, strict=True)
    ]
    cut = len(stages) // 2
    heads, tails = prod(genes[:cut]), prod(genes[cut + 1 :])
    windows, between = (len(stages[cut - 1].windows), outs[cut - 1]) if cut else (1, 1)
    paired = heads * (LISTED + 2 * between * cell // windows) + 3 * tails * between * cell
    seconds = len(hyper.resolutions) * sum(steps) / STEPS_A_SECOND
    return Needs(seconds, sum(cells) * cell, paired)


def require_room(hyper: Space, *, paired: bool) -> None:
    """Raises `SpaceError` where an exact search, or with `paired` an exact optimum, would take too
    much memory."""
    found = needs(hyper)
    wanted = found.prepared + (found.paired if paired else 0)
    if wanted > MOST_BYTES:
        what = "an exact optimum" if paired else "an exact search"
        message = (
            f"{what} of `{hyper.name}` would take about {wanted / 1e9:,.0f} GB, and at most "
            f"{MOST_BYTES / 1e9:.0f} are taken"
        )
        help = "leave --definition qt out, or offer fewer blocks, widths or resolutions"
        raise fault("not-searchable", message, help)
